//! The commands for webhooks, declared.

use super::ClientArgs;
use clap::{Args, Subcommand};

/// What an endpoint wants.
#[derive(Args)]
pub(crate) struct EndpointArgs {
    /// What people call it.
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// A type of events that it wants, like connection.created; may be given several times.
    #[arg(long = "event-type", value_name = "TYPE")]
    pub(crate) event_types: Vec<String>,
    /// Whether it is to get a message only when the one before was delivered or given up.
    #[arg(long, value_name = "true|false")]
    pub(crate) ordered: Option<bool>,
    /// How messages are signed: standard, or `x_pd` for the one header `x-pd-signature`.
    #[arg(long)]
    pub(crate) signature: Option<causeway_types::entity::WebhookSignature>,
}

/// Which page of a listing.
#[derive(Args)]
pub(crate) struct PageArgs {
    /// How many, 1 to 100.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: u32,
    /// The cursor of the page before.
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}

/// Which deliveries of an endpoint.
#[derive(Args)]
pub(crate) struct SpanArgs {
    /// Of an endpoint, those of messages from this time on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Of an endpoint, those of messages before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Of an endpoint, those too that were delivered.
    #[arg(long)]
    pub(crate) delivered: bool,
}

#[derive(Subcommand)]
pub(crate) enum WebhooksCommand {
    /// List the endpoints that webhooks are sent to.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show an endpoint, and whether it gets messages.
    Show {
        #[command(flatten)]
        client: ClientArgs,
        /// The endpoint.
        id: String,
    },
    /// Add an endpoint. Its secret is shown this once.
    Add {
        #[command(flatten)]
        client: ClientArgs,
        /// Where messages go: https, or http on the server's own machine.
        #[arg(id = "endpoint_url", long = "to", value_name = "URL")]
        url: String,
        #[command(flatten)]
        wants: EndpointArgs,
    },
    /// Change an endpoint; what is not given stays.
    Change {
        #[command(flatten)]
        client: ClientArgs,
        /// The endpoint.
        id: String,
        /// Where messages go from the next attempt on.
        #[arg(id = "endpoint_url", long = "to", value_name = "URL")]
        url: Option<String>,
        #[command(flatten)]
        wants: EndpointArgs,
        /// It wants events of all types.
        #[arg(long, conflicts_with = "event_types")]
        all_events: bool,
    },
    /// Give an endpoint a new secret. Messages are signed with the old one too for 24 hours.
    RotateSecret {
        #[command(flatten)]
        client: ClientArgs,
        /// The endpoint.
        id: String,
    },
    /// Enable an endpoint.
    Enable {
        #[command(flatten)]
        client: ClientArgs,
        /// The endpoint.
        id: String,
        /// Send what it has missed since it began to fail, or since it was disabled.
        #[arg(long)]
        replay: bool,
    },
    /// Disable an endpoint: what is pending for it, and what comes, is given up.
    Disable {
        #[command(flatten)]
        client: ClientArgs,
        /// The endpoint.
        id: String,
    },
    /// Delete an endpoint for good, with all its deliveries.
    Delete {
        #[command(flatten)]
        client: ClientArgs,
        /// The endpoint.
        id: String,
    },
    /// List what was sent, newest first.
    Messages {
        #[command(flatten)]
        client: ClientArgs,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a message with its body.
    Message {
        #[command(flatten)]
        client: ClientArgs,
        /// The message.
        id: String,
    },
    /// List deliveries, newest first; `--state dead` shows the dead letters.
    Deliveries {
        #[command(flatten)]
        client: ClientArgs,
        /// Those to one endpoint.
        #[arg(long, value_name = "ID")]
        endpoint: Option<String>,
        /// Those of one message.
        #[arg(long, value_name = "ID")]
        message: Option<String>,
        /// Those in one state: pending, delivered or dead.
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// List the attempts of a delivery, newest first.
    Attempts {
        #[command(flatten)]
        client: ClientArgs,
        /// The delivery.
        id: String,
    },
    /// Send again: one delivery, or the dead ones of an endpoint.
    Replay {
        #[command(flatten)]
        client: ClientArgs,
        /// The delivery (`whd_…`), or the endpoint (`whe_…`).
        id: String,
        #[command(flatten)]
        span: SpanArgs,
    },
}
