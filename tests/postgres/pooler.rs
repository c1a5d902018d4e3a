//! Behind PgBouncer in transaction mode, which gives each transaction whatever connection
//! is free.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use coursegate::adapter::postgres::{PgStore, pool_options};

use crate::broken::Kind;
use crate::cluster::{Cluster, as_user, free_port, fresh_schema, unprivileged};
use crate::school::{duplicates, enroll_many, onlooker, problems};

struct Pooler {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Pooler {
    fn start(cluster: &Cluster) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("coursegate-pgbouncer-{}", fresh_schema()));
        std::fs::create_dir(&folder).unwrap();
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=school\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 4\nunix_socket_dir =\n\
             ignore_startup_parameters = extra_float_digits\n",
            cluster.port()
        );
        let file = folder.join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let program = [
            "/usr/sbin/pgbouncer",
            "/usr/bin/pgbouncer",
            "/opt/homebrew/bin/pgbouncer",
        ]
        .iter()
        .map(PathBuf::from)
        .find(|program| program.is_file())
        .unwrap_or_else(|| "pgbouncer".into());
        let process = as_user(&program, user)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PgBouncer is not installed: run `apt-get install pgbouncer`");
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "PgBouncer did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            process,
            folder,
            port,
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode() {
    let cluster = Cluster::start();
    let pooler = Pooler::start(&cluster);
    let url = format!("postgres://school@127.0.0.1:{}/postgres", pooler.port);
    let pool = pool_options().connect(&url).await.unwrap();
    let make = async || {
        let schema = fresh_schema();
        let store = PgStore::new(pool.clone())
            .schema(&schema)
            .unwrap()
            .transaction_pooler();
        store.migrate().await.unwrap();
        (store, schema)
    };
    coursegate::conformance::store(|| async { make().await.0 })
        .await
        .unwrap();

    let (store, schema) = make().await;
    let dues = enroll_many(&store, 30).await;
    let registrar = Kind::Right.registrar(store);
    let applied = duplicates(&registrar, &dues, 32).await;
    assert_eq!(applied, dues.len());
    let paid: Vec<_> = dues.into_iter().map(|due| due.reference).collect();
    Kind::Right.judge(&problems(&onlooker(&cluster.url()).await, &schema, &paid).await);
}
