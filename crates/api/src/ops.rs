//! For whoever operates the server: is it alive, is it ready, what are its figures.

use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use causeway_catalog::Catalog;
use causeway_flow::Manifest;
use causeway_sandbox::{Eviction, PoolStats, Runtime, Tier};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of the histograms of times, in seconds.
const SECONDS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Installs the process's recorder of metrics. Once a process.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .install_recorder()
}

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The process can do its work: its database answers.
pub(crate) async fn readyz(State(api): State<Api>) -> Result<&'static str, Problem> {
    api.store().ping().await?;
    Ok("ready\n")
}

/// Figures in the text format of Prometheus.
pub(crate) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    for runtime in Runtime::ALL {
        for tier in Tier::ALL {
            set_pool(api.flow().pool_stats(runtime, tier), runtime.as_str(), tier.as_str());
        }
    }
    let (memory, most) = api.flow().pool_memory();
    metrics::gauge!("causeway_sandbox_memory_bytes").set(bytes(memory));
    if let Some(most) = most {
        metrics::gauge!("causeway_sandbox_memory_limit_bytes").set(bytes(most));
    }
    let text = api.metrics().render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// Sets the figures of the pool that it does not write down itself.
fn set_pool(pool: PoolStats, runtime: &'static str, tier: &'static str) {
    let labels = [("runtime", runtime), ("tier", tier)];
    let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let states =
        [("idle", pool.idle), ("spare", pool.spare), ("busy", pool.busy()), ("live", pool.live)];
    for (state, sandboxes) in states {
        metrics::gauge!("causeway_sandboxes", "state" => state, "runtime" => runtime, "tier" => tier)
            .set(count(sandboxes));
    }
    metrics::gauge!("causeway_sandbox_callers_waiting", &labels).set(count(pool.waiting));
    metrics::counter!("causeway_sandboxes_started_total", &labels).absolute(pool.started);
    metrics::counter!("causeway_sandboxes_warm_total", &labels).absolute(pool.warm_hits);
    metrics::counter!("causeway_sandboxes_failed_total", &labels).absolute(pool.failed);
    metrics::counter!("causeway_sandbox_callers_refused_total", &labels).absolute(pool.refused);
    for reason in Eviction::ALL {
        metrics::counter!(
            "causeway_sandboxes_evicted_total",
            "reason" => reason.as_str(), "runtime" => runtime, "tier" => tier
        )
        .absolute(pool.evicted.of(reason));
    }
}

/// An amount of memory as metrics take it; exact up to 4 PiB.
fn bytes(amount: u64) -> f64 {
    let (high, low) = (amount >> 20, amount & 0xF_FFFF);
    let part = |part: u64| f64::from(u32::try_from(part).unwrap_or(u32::MAX));
    part(high) * 1_048_576.0 + part(low)
}

/// The JSON Schema of a row of the catalogue, `app.yaml`.
pub(crate) async fn app_schema() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/schema+json")], Json(Catalog::schema()))
}

/// The JSON Schema of `workflow.yaml`.
pub(crate) async fn workflow_schema() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/schema+json")], Json(Manifest::json_schema()))
}
