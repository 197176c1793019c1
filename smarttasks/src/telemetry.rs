//! What the service says of itself: log lines on standard error, metrics for Prometheus.

use crate::Error;
use crate::config::{Log, LogFormat};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Upper bounds of the histograms whose names end in `_seconds`: from the half millisecond that a
/// rule takes to the half minute that a webhook may take.
const SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Starts writing log lines to standard error.
///
/// # Errors
/// Something else in this process does so already.
pub fn start_logs(log: &Log) -> Result<(), Error> {
    let colours = std::io::stderr().is_terminal();
    tracing::dispatcher::set_global_default(logs_to(log, std::io::stderr, colours)?)
        .map_err(|error| failed("logs", error))
}

/// Starts collecting metrics. The handle renders them; its `run_upkeep` is to be called every few
/// seconds, or histograms that nobody reads grow.
///
/// # Errors
/// Something else in this process collects them already.
pub fn start_metrics() -> Result<PrometheusHandle, Error> {
    metrics_builder()?
        .install_recorder()
        .map_err(|error| failed("metrics", error))
}

fn logs_to<W>(log: &Log, writer: W, colours: bool) -> Result<Dispatch, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(log.filter.as_str())
        .map_err(|error| failed("logs", error))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colours && log.format == LogFormat::Text);
    Ok(match log.format {
        LogFormat::Text => lines.into(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .into(),
    })
}

fn metrics_builder() -> Result<PrometheusBuilder, Error> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(|error| failed("metrics", error))
}

fn failed(what: &'static str, error: impl std::fmt::Display) -> Error {
    Error::Telemetry {
        what,
        cause: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Sources, load};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written when a line is logged at `info` and one at `debug`, inside a span.
    fn logged(settings: &[(&str, &str)]) -> String {
        let flags = settings.iter().map(|(key, value)| Flag {
            flag: format!("--set {key}"),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        });
        let sources = Sources {
            flags: flags.collect(),
            ..Sources::default()
        };
        let log = load(&sources).unwrap().config.log;
        let lines = Lines::default();
        let writer = lines.clone();
        let dispatch = logs_to(&log, move || writer.clone(), false).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            let _span = tracing::info_span!("request", request.id = "r1").entered();
            tracing::info!(task.id = "t1", "task created");
            tracing::debug!("details");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn text_lines_carry_message_fields_and_span() {
        let text = logged(&[]);
        assert!(
            text.contains("task created") && text.contains("task.id=\"t1\""),
            "{text}"
        );
        assert!(text.contains("request.id=\"r1\""), "{text}");
        assert!(
            !text.contains("details") && !text.contains('\u{1b}'),
            "{text}"
        );
    }

    #[test]
    fn json_lines_are_objects_with_fields_and_spans() {
        let text = logged(&[("log.format", "json"), ("log.filter", "debug")]);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "task created");
        assert_eq!(lines[0]["task.id"], "t1");
        assert_eq!(lines[0]["spans"][0]["request.id"], "r1");
    }

    #[test]
    fn durations_are_rendered_as_buckets() {
        let recorder = metrics_builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("smarttasks_rule_seconds").record(0.002);
        });
        let text = handle.render();
        assert!(
            text.contains("smarttasks_rule_seconds_bucket{le=\"0.0025\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("smarttasks_rule_seconds_bucket{le=\"0.001\"} 0"),
            "{text}"
        );
    }
}
