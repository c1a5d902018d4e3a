//! A Postgres to test on: the one `DATABASE_URL` names, or a private one with default
//! durability, which is stopped by its own process id when the tests end, however they end.

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use coursegate::adapter::postgres::{PgStore, pool_options};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgPool};

/// Where tests connect to unless they need a server of their own.
pub fn url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| match std::env::var("DATABASE_URL") {
        Ok(url) => url,
        Err(_) => {
            static SHARED: OnceLock<Cluster> = OnceLock::new();
            SHARED.get_or_init(Cluster::start).url()
        }
    })
}

pub async fn pool() -> PgPool {
    pool_options().connect(url()).await.unwrap()
}

/// A store in a schema that nobody else uses.
pub async fn fresh_store() -> PgStore {
    store_on(pool().await).await
}

pub async fn store_on(pool: PgPool) -> PgStore {
    let store = PgStore::new(pool).schema(&fresh_schema()).unwrap();
    store.migrate().await.unwrap();
    store
}

pub fn fresh_schema() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("test_{}_{number}", std::process::id())
}

/// The connection options of a URL, at SERIALIZABLE.
pub fn serializable() -> PgConnectOptions {
    let options: PgConnectOptions = url().parse().unwrap();
    options.options([("default_transaction_isolation", "serializable")])
}

/// A private server.
pub struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    server: std::sync::Mutex<Server>,
}

/// A server process, and the one that ends it once the tests are gone.
struct Server {
    process: Child,
    guard: Child,
}

impl Cluster {
    pub fn start() -> Self {
        let binaries = binaries();
        let user = unprivileged();
        let folder = std::env::temp_dir().join(format!(
            "coursegate-postgres-{}-{}",
            std::process::id(),
            fresh_schema()
        ));
        std::fs::create_dir(&folder).unwrap();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let mut initdb = as_user(&binaries.join("initdb"), user);
        let done = initdb
            .args(["--auth=trust", "--username=school", "--encoding=UTF8", "-D"])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(done.status.success(), "initdb failed: {done:?}");
        let port = free_port();
        let server = Server::start(&binaries, &folder, user, port);
        let cluster = Self {
            folder,
            binaries,
            user,
            port,
            server: std::sync::Mutex::new(server),
        };
        cluster.wait_until_ready();
        cluster
    }

    pub fn url(&self) -> String {
        format!("postgres://school@127.0.0.1:{}/postgres", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server and everything it started with SIGKILL, and starts it again after a
    /// while.
    pub fn crash_and_restart(&self, outage: Duration) {
        let mut server = self.server.lock().unwrap();
        // Stopped, it starts no more children that would be missed.
        signal("STOP", &[server.process.id()]);
        let children = server.children();
        server.process.kill().unwrap();
        server.process.wait().unwrap();
        signal("KILL", &children);
        std::thread::sleep(outage);
        *server = Server::start(&self.binaries, &self.folder, self.user, self.port);
        drop(server);
        self.wait_until_ready();
    }

    /// Stops the server in the middle of whatever it does, with SIGSTOP, until the guard is
    /// dropped.
    pub fn freeze(&self) -> Frozen {
        let server = self.server.lock().unwrap();
        let mut stopped = vec![server.process.id()];
        signal("STOP", &stopped);
        stopped.extend(server.children());
        signal("STOP", &stopped[1..]);
        Frozen(stopped)
    }

    /// A server gives up at once when the last one's memory is still in use.
    fn start_again_if_gone(&self) {
        let mut server = self.server.lock().unwrap();
        if server.process.try_wait().unwrap().is_some() {
            *server = Server::start(&self.binaries, &self.folder, self.user, self.port);
        }
    }

    /// Tries to connect, on a thread of its own since a test may be inside a runtime.
    fn wait_until_ready(&self) {
        let url = self.url();
        let connect = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while let Err(error) = runtime.block_on(PgConnection::connect(&url)) {
                assert!(Instant::now() < deadline, "Postgres did not start: {error}");
                self.start_again_if_gone();
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        std::thread::scope(|scope| scope.spawn(connect).join().unwrap());
    }
}

/// A frozen server, which goes on when this is dropped.
pub struct Frozen(Vec<u32>);

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("CONT", &self.0);
    }
}

impl Server {
    fn start(binaries: &Path, folder: &Path, user: Option<(u32, u32)>, port: u16) -> Self {
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let process = as_user(&binaries.join("postgres"), user)
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=150"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        // It reads until the tests' end of the pipe is gone, also if they were killed.
        let script = "cat >/dev/null; kill -QUIT $0 2>/dev/null; \
             while kill -0 $0 2>/dev/null; do sleep 0.05; done; rm -rf \"$1\"";
        let guard = Command::new("sh")
            .args(["-c", script, &process.id().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { process, guard }
    }

    fn children(&self) -> Vec<u32> {
        let id = self.process.id();
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        match list {
            Ok(list) => list
                .split_whitespace()
                .map(|id| id.parse().unwrap())
                .collect(),
            Err(_) => {
                let list = Command::new("pgrep").args(["-P", &id.to_string()]).output();
                let list = String::from_utf8(list.unwrap().stdout).unwrap();
                list.split_whitespace()
                    .map(|id| id.parse().unwrap())
                    .collect()
            }
        }
    }
}

/// Takes the guard off without deleting anything.
impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.kill());
        drop(self.guard.wait());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap();
        signal("QUIT", &[server.process.id()]);
        drop(server.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

pub fn signal(name: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    let ids = processes.iter().map(u32::to_string);
    // Some may be gone by now.
    let _ = Command::new("kill")
        .arg(format!("-{name}"))
        .args(ids)
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

/// A port below those that the system lends to outgoing connections: while a server is down,
/// such a connection could take its port.
pub fn free_port() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| 10_000 + (RandomState::new().hash_one(0) % 20_000) as u16)
        .find(free)
        .unwrap()
}

/// A command that runs as somebody who may run a server: Postgres refuses to run as root.
pub fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Who to run servers as; `None` when we may do it ourselves.
pub fn unprivileged() -> Option<(u32, u32)> {
    let number = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse::<u32>().ok()
    };
    (number(&["-u"]) == Some(0)).then(|| {
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| Some((number(&["-u", name])?, number(&["-g", name])?)))
            .unwrap_or((65_534, 65_534))
    })
}

fn binaries() -> PathBuf {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut packaged: Vec<PathBuf> = [
        "/usr/lib/postgresql",
        "/usr",
        "/opt/homebrew/opt",
        "/usr/local/opt",
    ]
    .iter()
    .filter_map(|folder| std::fs::read_dir(folder).ok())
    .flatten()
    .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
    .collect();
    packaged.sort();
    let found = on_path
        .chain(packaged.into_iter().rev())
        .find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file());
    match found {
        Some(folder) => folder,
        None => {
            let line = "Postgres is not installed: run `apt-get install postgresql` (or your \
                        system's package), or set DATABASE_URL to a database for tests\n";
            drop(std::io::stderr().write_all(line.as_bytes()));
            panic!("{}", line.trim());
        }
    }
}
