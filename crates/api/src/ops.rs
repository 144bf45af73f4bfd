//! For whoever operates the server: is it alive, is it ready, what are its figures.

use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use causeway_catalog::Catalog;
use causeway_flow::Manifest;
use causeway_sandbox::Runtime;
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
        let (pool, runtime) = (api.flow().pool_stats(runtime), runtime.as_str());
        for (state, count) in [("idle", pool.idle), ("spare", pool.spare), ("live", pool.live)] {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("causeway_sandboxes", "state" => state, "runtime" => runtime)
                .set(f64::from(count));
        }
        metrics::counter!("causeway_sandboxes_started_total", "runtime" => runtime)
            .absolute(pool.started);
        metrics::counter!("causeway_sandboxes_warm_total", "runtime" => runtime)
            .absolute(pool.warm_hits);
    }
    let text = api.metrics().render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// The JSON Schema of a row of the catalogue, `app.yaml`.
pub(crate) async fn app_schema() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/schema+json")], Json(Catalog::schema()))
}

/// The JSON Schema of `workflow.yaml`.
pub(crate) async fn workflow_schema() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/schema+json")], Json(Manifest::json_schema()))
}
