//! What the server counts about itself. Each shard has its own counters, so counting never makes two threads wait for
//! each other; whoever serves them adds them up.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The counters of one shard.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Connections now.
    pub(crate) connections: Gauge,
    /// Connections accepted.
    pub(crate) accepted: Counter,
    /// Commands carried out.
    pub(crate) commands: Counter,
    /// Items (events and presence) times members that they were written or queued for.
    pub(crate) deliveries: Counter,
    /// Encodings of batches: one for each wire form that a batch was needed in.
    pub(crate) encodings: Counter,
    /// Refusals sent.
    pub(crate) refusals: Counter,
    /// Times that a member that was too far behind began to miss events.
    pub(crate) gaps: Counter,
    /// Connections that were closed because they took nothing for `write_timeout`.
    pub(crate) stuck: Counter,
    /// Bytes read from clients.
    pub(crate) bytes_in: Counter,
    /// Bytes written to clients.
    pub(crate) bytes_out: Counter,
}

impl Metrics {
    /// Makes the counters known under their public names.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("madang_connections", "Connections now", self.connections.clone());
        registry.register("madang_accepted", "Connections accepted", self.accepted.clone());
        registry.register("madang_commands", "Commands carried out", self.commands.clone());
        registry.register("madang_deliveries", "Events written, times members", self.deliveries.clone());
        registry.register("madang_encodings", "Batches encoded, times wire forms", self.encodings.clone());
        registry.register("madang_refusals", "Refusals sent", self.refusals.clone());
        registry.register("madang_gaps", "Times that a member began to miss events", self.gaps.clone());
        registry.register("madang_stuck", "Connections closed for taking nothing", self.stuck.clone());
        registry.register("madang_bytes_in", "Bytes read from clients", self.bytes_in.clone());
        registry.register("madang_bytes_out", "Bytes written to clients", self.bytes_out.clone());
    }
}
