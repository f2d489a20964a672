//! `headwater start`: a server in the foreground.
//!
//! The configuration is put together and checked before there is a runtime, because it says how many threads that has.
//! Later wins: `--config FILE`, then each `-c`, then `--listen`, `--advertise` and `--data`.

use crate::arguments::{examples, key_value};
use crate::failure::{Failure, say};
use crate::properties;
use crate::session::Session;
use clap::Args;
use headwater_broker::config::settings_without_file;
use headwater_broker::{Broker, BrokerConfig, ConfigError, Listener, StartError};
use headwater_env::real::RealDisk;
use headwater_env::{Disk, DiskFile, LockError, OpenMode};
use headwater_log::OpenDirError;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

const DEFAULT_LISTEN: &str = "127.0.0.1:9092";
const DEFAULT_DATA: &str = "./headwater-data";
/// A configuration file is text that somebody wrote; anything longer is not one.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Run a server
///
/// The server runs in the foreground until Ctrl-C or SIGTERM stops it in good order; a second signal ends it at once.
/// After any other end it recovers when it is started again, with every record that was acknowledged. When it serves, it
/// prints one line to stdout whose last word is its address; the log goes to stderr.
///
/// Settings have the names of Kafka's server.properties. Those that promise safety and do not exist yet (`ssl.*`,
/// `sasl.*`, `authorizer.*` and others) are refused; those that are not known are warned of. There is no
/// authentication: whoever reaches the port may do everything.
#[derive(Debug, Args)]
#[command(after_help = examples!(
    "headwater start --data ./data",
    "headwater start --listen 127.0.0.1:0",
    "headwater start --config server.properties -c log.retention.hours=24",
    "headwater start --listen :9092 --advertise events.example:9092",
))]
pub(crate) struct Start {
    /// Directory of the data, created if missing [default: `log.dirs` of the configuration, else ./headwater-data]
    #[arg(short, long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one, no host means all interfaces [default: `listeners` of the
    /// configuration, else 127.0.0.1:9092]
    #[arg(short, long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Address that clients are told to connect to [default: the one it listens on]
    #[arg(short, long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// File with settings, in the syntax of Kafka's server.properties
    #[arg(long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Setting by its Kafka name; may be repeated, wins over the file
    #[arg(short, value_name = "KEY=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,
}

/// A server that is ready to be started.
#[derive(Debug)]
pub(crate) struct Server {
    config: BrokerConfig,
}

impl Start {
    /// Puts the configuration together and checks it.
    pub(crate) fn prepare(&self) -> Result<Server, Failure> {
        let mut pairs = match &self.file {
            Some(path) => read_properties(path)?,
            None => settings_without_file(),
        };
        pairs.extend(self.config.iter().cloned());
        let is_set = |pairs: &[(String, String)], name: &str| pairs.iter().any(|(key, _)| key == name);
        let listen = match &self.listen {
            None if is_set(&pairs, "listeners") => None,
            None => Some(plaintext("--listen", DEFAULT_LISTEN)?),
            Some(address) => Some(plaintext("--listen", address)?),
        };
        pairs.extend(listen.map(|listener| ("listeners".to_owned(), listener)));
        if let Some(address) = &self.advertise {
            pairs.push(("advertised.listeners".to_owned(), plaintext("--advertise", address)?));
        }
        let data = match &self.data {
            None if is_set(&pairs, "log.dirs") || is_set(&pairs, "log.dir") => None,
            None => Some(PathBuf::from(DEFAULT_DATA)),
            Some(data) => Some(data.clone()),
        };
        let (config, unknown) = BrokerConfig::from_properties(data, pairs).map_err(refused)?;
        for key in unknown {
            say(&format!("warning: the setting `{key}` is not known and changes nothing"));
        }
        for listener in config.listeners().iter().filter(|listener| !is_loopback(&listener.host)) {
            say(&format!(
                "warning: listening on `{}`, beyond this machine, without authentication or encryption",
                listener.bind_address()
            ));
        }
        Ok(Server { config })
    }
}

fn plaintext(option: &str, address: &str) -> Result<String, Failure> {
    let listener = format!("PLAINTEXT://{address}");
    match Listener::parse("listeners", &listener) {
        Ok(_) => Ok(listener),
        Err(_) => Err(Failure::usage(format!("`{option}` expects HOST:PORT, got `{address}`"))),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn read_properties(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let text = read_text(path)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))?;
    properties::parse(&text).map_err(|why| Failure::usage(format!("`{}`: {why}", path.display())))
}

fn read_text(path: &Path) -> io::Result<String> {
    let file = RealDisk.open(path, OpenMode::Read)?;
    let length = file.len()?;
    if length > CONFIG_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too long for a configuration"));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

fn refused(error: ConfigError) -> Failure {
    let safety = matches!(error, ConfigError::Unsupported { .. });
    let failure = Failure::usage(error);
    if safety { failure.hint("leave it out, and let only trusted clients reach the server") } else { failure }
}

impl Server {
    /// Threads of the runtime, if the configuration says.
    pub(crate) fn worker_threads(&self) -> Option<usize> {
        let text = self.config.values().get("headwater.worker.threads")?;
        text.parse().ok().filter(|threads| *threads > 0)
    }

    /// Serves until a signal.
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let data = self.config.data_dir().to_owned();
        let started = Broker::start(session.env.clone(), self.config, None);
        let broker = session.unless_interrupted(async { started.await.map_err(not_started) }).await?;
        tracing::info!(data = %data.display(), cluster_id = %broker.cluster_id(), "started");
        if let Some(address) = broker.local_address() {
            // Nobody may be there to read it.
            drop(session.print(format!("headwater is serving at {address}\n")).await);
        }
        session.interrupt.cancelled().await;
        let signal = session.signal.get().copied().unwrap_or("a signal");
        tracing::info!(signal, "stopping");
        broker.stop().await.map_err(|error| {
            Failure::new(format!("the data directory was not closed in good order: {error}"))
                .hint("the next start recovers it")
        })?;
        tracing::info!("stopped");
        Ok(())
    }
}

fn not_started(error: StartError) -> Failure {
    let hint = match &error {
        StartError::Directory(OpenDirError::Lock(LockError::Held { .. })) => {
            Some("stop that process, or choose another directory with `--data`")
        }
        StartError::Directory(OpenDirError::Foreign { .. }) => Some("choose another directory with `--data`"),
        StartError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            Some("`--listen HOST:0` takes a free port")
        }
        _ => None,
    };
    let failure = Failure::new(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        start: Start,
    }

    fn prepare(arguments: &[&str]) -> Result<BrokerConfig, Failure> {
        let arguments = std::iter::once("start").chain(arguments.iter().copied());
        Alone::try_parse_from(arguments).unwrap().start.prepare().map(|server| server.config)
    }

    fn reason(arguments: &[&str]) -> String {
        match prepare(arguments) {
            Err(Failure::Usage { message, .. }) => message,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn defaults_give_way_to_settings_and_settings_to_options() {
        let config = prepare(&[]).unwrap();
        assert_eq!(config.listeners(), [Listener::plaintext("127.0.0.1", 9092)]);
        assert_eq!(config.data_dir(), Path::new(DEFAULT_DATA));
        let delay = |config: &BrokerConfig| {
            config.values().get("group.initial.rebalance.delay.ms").map(|value| value.to_string())
        };
        assert_eq!(delay(&config).as_deref(), Some("0"));
        let given = prepare(&["-c", "group.initial.rebalance.delay.ms=7"]).unwrap();
        assert_eq!(delay(&given).as_deref(), Some("7"));
        let settings = ["-c", "listeners=PLAINTEXT://localhost:1", "-c", "log.dirs=/a"];
        let config = prepare(&settings).unwrap();
        assert_eq!(config.listeners(), [Listener::plaintext("localhost", 1)]);
        assert_eq!(config.data_dir(), Path::new("/a"));
        let config = prepare(&[&settings[..], &["--listen", "[::1]:2", "--data", "/b"]].concat()).unwrap();
        assert_eq!(config.listeners(), [Listener::plaintext("::1", 2)]);
        assert_eq!(config.data_dir(), Path::new("/b"));
    }

    #[test]
    fn advertised_addresses_are_names() {
        let config = prepare(&["--advertise", "events.example:19092"]).unwrap();
        assert_eq!(config.advertised("PLAINTEXT"), Some(&Listener::plaintext("events.example", 19092)));
    }

    #[test]
    fn settings_that_promise_safety_are_refused() {
        for setting in
            ["ssl.keystore.location=/k", "sasl.enabled.mechanisms=PLAIN", "authorizer.class.name=x"]
        {
            let key = setting.split('=').next().unwrap();
            assert!(reason(&["-c", setting]).starts_with(&format!("`{key}` is not supported")), "{setting}");
        }
        assert!(prepare(&["-c", "not.a.known.key=1"]).is_ok());
    }

    #[test]
    fn wrong_addresses_and_files_are_wrong_usage() {
        assert_eq!(reason(&["--listen", "9092"]), "`--listen` expects HOST:PORT, got `9092`");
        assert_eq!(reason(&["--advertise", "a:b"]), "`--advertise` expects HOST:PORT, got `a:b`");
        assert!(reason(&["--config", "/does/not/exist"]).starts_with("cannot read `/does/not/exist`"));
    }

    #[test]
    fn only_loopback_is_within_this_machine() {
        assert!(["127.0.0.1", "127.9.9.9", "::1", "localhost"].into_iter().all(is_loopback));
        assert!(!["", "0.0.0.0", "::", "10.0.0.1", "example.org"].into_iter().any(is_loopback));
    }
}
