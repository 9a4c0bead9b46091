//! What the server counts about itself. Each shard has its own counters, so counting never makes two threads wait for
//! each other; whoever asks gets their sums.

use std::fmt;
use std::sync::Arc;

use madang_log::{FileStats, Watch};
use madang_room::{REFUSAL_CODES, Refusal};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// By which way somebody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Lines,
    Echo,
    Relay,
    WebSocket,
    SocketIo,
    Stream,
    Call,
}

impl Door {
    /// In the order in which they are declared: a door is its place here.
    const NAMES: [&'static str; 7] = ["tcp", "echo", "relay", "websocket", "socketio", "sse", "api"];
    /// Those by which a session comes; the others have none.
    const WITH_SESSIONS: [Door; 3] = [Door::Lines, Door::WebSocket, Door::SocketIo];
}

/// The counters of one shard.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Connections now, by door.
    connections: [Gauge; Door::NAMES.len()],
    /// Connections that have come, by door.
    accepted: [Counter; Door::NAMES.len()],
    /// Rooms that are open now.
    pub(crate) rooms: Gauge,
    /// Members of rooms now; who is in two counts twice.
    pub(crate) members: Gauge,
    /// Commands carried out.
    pub(crate) commands: Counter,
    /// Items (events and presence) times members that they were written or queued for.
    pub(crate) deliveries: Counter,
    /// Encodings of batches: one for each wire form that a batch was needed in.
    pub(crate) encodings: Counter,
    /// Refusals sent, by code.
    refusals: [Counter; REFUSAL_CODES.len()],
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
    /// Somebody has come in.
    pub(crate) fn opened(&self, door: Door) {
        self.accepted[door as usize].inc();
        self.connections[door as usize].inc();
    }

    /// Somebody has gone.
    pub(crate) fn closed(&self, door: Door) {
        self.connections[door as usize].dec();
    }

    /// Somebody is told no.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        let code = refusal.code();
        if let Some(at) = REFUSAL_CODES.iter().position(|known| *known == code) {
            self.refusals[at].inc();
        }
    }
}

/// The counters of all shards and of the log, as they are told.
pub(crate) struct Report {
    pub(crate) shards: Vec<Arc<Metrics>>,
    pub(crate) log: Watch,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("shards", &self.shards).finish_non_exhaustive()
    }
}

impl Collector for Report {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page { encoder, shards: &self.shards };
        page.gauges("madang_connections", "Connections now", |at| &at.connections)?;
        page.counters("madang_accepted", "Connections that have come", "door", &Door::NAMES, |at| {
            &at.accepted
        })?;
        page.sessions()?;
        page.gauge("madang_rooms", "Rooms that are open now", |at| &at.rooms)?;
        page.gauge("madang_members", "Members of rooms now", |at| &at.members)?;
        page.counter("madang_commands", "Commands carried out, messages among them", |at| &at.commands)?;
        page.counter("madang_deliveries", "Events written, times members", |at| &at.deliveries)?;
        page.counter("madang_encodings", "Batches encoded, times wire forms", |at| &at.encodings)?;
        page.counters("madang_refusals", "Refusals sent", "code", &REFUSAL_CODES, |at| &at.refusals)?;
        page.counter("madang_gaps", "Times that a member began to miss events", |at| &at.gaps)?;
        page.counter("madang_stuck", "Connections closed for taking nothing", |at| &at.stuck)?;
        page.counter("madang_bytes_in", "Bytes read from clients", |at| &at.bytes_in)?;
        page.counter("madang_bytes_out", "Bytes written to clients", |at| &at.bytes_out)?;
        let stats = self.log.stats();
        page.log([("async", &stats.relaxed), ("sync", &stats.durable)])
    }
}

/// One telling of all that is counted: each name once, with the sums of all shards.
struct Page<'e, 's> {
    encoder: DescriptorEncoder<'e>,
    shards: &'s [Arc<Metrics>],
}

impl Page<'_, '_> {
    fn gauge(&mut self, name: &str, help: &str, of: impl Fn(&Metrics) -> &Gauge) -> fmt::Result {
        let sum: i64 = self.shards.iter().map(|shard| of(shard).get()).sum();
        self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&sum)
    }

    fn counter(&mut self, name: &str, help: &str, of: impl Fn(&Metrics) -> &Counter) -> fmt::Result {
        let sum: u64 = self.shards.iter().map(|shard| of(shard).get()).sum();
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&sum, None)
    }

    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        of: impl Fn(&Metrics) -> &[Gauge; Door::NAMES.len()],
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (at, door) in Door::NAMES.iter().enumerate() {
            let sum: i64 = self.shards.iter().map(|shard| of(shard)[at].get()).sum();
            metric.encode_family(&[("door", *door)])?.encode_gauge(&sum)?;
        }
        Ok(())
    }

    fn counters<const KINDS: usize>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        kinds: &[&str; KINDS],
        of: impl Fn(&Metrics) -> &[Counter; KINDS],
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (at, kind) in kinds.iter().enumerate() {
            let sum: u64 = self.shards.iter().map(|shard| of(shard)[at].get()).sum();
            metric.encode_family(&[(label, *kind)])?.encode_counter::<NoLabelSet, _, u64>(&sum, None)?;
        }
        Ok(())
    }

    fn sessions(&mut self) -> fmt::Result {
        let help = "Sessions that have a connection now";
        let mut metric = self.encoder.encode_descriptor("madang_sessions", help, None, MetricType::Gauge)?;
        for door in Door::WITH_SESSIONS {
            let sum: i64 = self.shards.iter().map(|shard| shard.connections[door as usize].get()).sum();
            metric.encode_family(&[("door", Door::NAMES[door as usize])])?.encode_gauge(&sum)?;
        }
        Ok(())
    }

    fn log(&mut self, files: [(&str, &FileStats); 2]) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, of: fn(&FileStats) -> usize| {
            let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (file, stats) in files {
                let now = i64::try_from(of(stats)).unwrap_or(i64::MAX);
                metric.encode_family(&[("file", file)])?.encode_gauge(&now)?;
            }
            Ok(())
        };
        gauge("madang_log_queue", "Calls that wait for the log", |stats| stats.waiting_calls)?;
        gauge("madang_log_queue_bytes", "Bytes that wait for the log", |stats| stats.waiting_bytes)?;
        let help = "Events written to the log";
        let mut metric =
            self.encoder.encode_descriptor("madang_log_events", help, None, MetricType::Counter)?;
        for (file, stats) in files {
            let label = [("file", file)];
            let mut metric = metric.encode_family(&label)?;
            metric.encode_counter::<NoLabelSet, _, u64>(&stats.events, None)?;
        }
        self.times(
            "madang_log_append_seconds",
            "Time to write what waited to a file of the log",
            files,
            |stats| &stats.commit_times,
        )?;
        self.times(
            "madang_log_fsync_seconds",
            "Time that a commit waited for the disk",
            [files[1]],
            |stats| &stats.fsync_times,
        )
    }

    fn times<const FILES: usize>(
        &mut self,
        name: &str,
        help: &str,
        files: [(&str, &FileStats); FILES],
        of: fn(&FileStats) -> &madang_log::Histogram,
    ) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (file, stats) in files {
            let times = of(stats);
            let bound =
                |bound: Option<std::time::Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
            let buckets: Vec<(f64, u64)> = times.buckets().map(|(is, count)| (bound(is), count)).collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let label = [("file", file)];
            let mut metric = metric.encode_family(&label)?;
            metric.encode_histogram::<NoLabelSet>(times.sum.as_secs_f64(), count, &buckets, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use madang_log::Store;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn shards_are_summed_up_under_each_name_once() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path()).unwrap();
        let shards = vec![Arc::new(Metrics::default()), Arc::new(Metrics::default())];
        shards[0].opened(Door::SocketIo);
        shards[1].opened(Door::SocketIo);
        shards[1].opened(Door::Lines);
        shards[1].closed(Door::Lines);
        shards[0].refused(&Refusal::Closing);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Report { shards, log: store.watch() }));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "madang_connections{door=\"socketio\"} 2",
            "madang_connections{door=\"tcp\"} 0",
            "madang_accepted_total{door=\"tcp\"} 1",
            "madang_sessions{door=\"socketio\"} 2",
            "madang_refusals_total{code=\"unavailable\"} 1",
            "madang_log_queue{file=\"sync\"} 0",
            "madang_log_append_seconds_count{file=\"async\"} 0",
            "madang_log_fsync_seconds_bucket{le=\"+Inf\",file=\"sync\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        let mut kinds: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let told = kinds.len();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), told, "each name is described once");
    }
}
