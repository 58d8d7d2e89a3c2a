//! What a first start makes: the schema, the master key and the signing keys. It is made once for all tests of a run and
//! copied for each, because the RSA keys alone take seconds of a processor. A server that must have keys of its own is
//! started by [`super::Server::with_own_keys`]; tests of the first start run the program in an empty folder.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use signet::app::AppState;
use signet::config::Config;
use signet::env::Env;
use tokio::sync::OnceCell;

use super::database::{Made, Template};

struct Installed {
    /// Name, mode and content of each file in the data directory.
    files: Vec<(String, u32, Vec<u8>)>,
    database: Option<Template>,
}

static INSTALLED: OnceCell<Installed> = OnceCell::const_new();

/// Copies it into the data directory `to`, and returns the test's own database unless that is a file there.
pub async fn copy(to: &Path) -> Option<Made> {
    let installed = INSTALLED.get_or_init(install).await;
    if !to.exists() {
        DirBuilder::new().mode(0o700).create(to).unwrap();
    }
    for (name, mode, content) in &installed.files {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(*mode).open(to.join(name)).unwrap();
        file.write_all(content).unwrap();
    }
    match &installed.database {
        Some(template) => Some(template.copy().await),
        None => None,
    }
}

async fn install() -> Installed {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    let database = Template::new().await;
    let config = Config {
        data_dir: folder.path().to_owned(),
        database_url: database.as_ref().map(Template::url),
        ..Config::default()
    };
    let app = AppState::open(config, Env::system()).await.unwrap();
    app.store().close().await;
    let files = fs::read_dir(folder.path()).unwrap().map(|file| {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        (file.file_name().into_string().unwrap(), mode, fs::read(file.path()).unwrap())
    });
    Installed { files: files.collect(), database }
}
