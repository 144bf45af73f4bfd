//! An installation that takes reports.

use crate::gnupg::Gnupg;
use causeway_disclosure::{
    Disclosure, DisclosureConfig, DisclosureParts, Draft, Mailer, Recipient, TextSigner,
};
use causeway_identity::OwnKeys;
use causeway_store::testing::TestDatabase;
use causeway_types::{Actor, Clock as _, ManualClock, OsRandom, SecretBytes, SystemClock};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use std::sync::Arc;

pub(crate) const USER: &str = "Security <security@example.com>";

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) disclosure: Disclosure,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) gnupg: Gnupg,
    _folder: tempfile::TempDir,
}

/// What an installation has.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) without_key: bool,
    pub(crate) signed: bool,
    pub(crate) mailer: Option<Mailer>,
}

impl World {
    pub(crate) async fn new(database: TestDatabase, setup: Setup) -> Self {
        let gnupg = Gnupg::new();
        gnupg.make(USER, "ed25519", "cert,sign", "1y", Some(("cv25519", "encr")));
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = database.store.clone();
        let key_file = folder.path().join("root.key");
        FileKey::create(&key_file, database.folder(), &OsRandom).unwrap();
        let root = RootKey::File(FileKey::load(&key_file, database.folder()).unwrap());
        let random = Arc::new(OsRandom);
        let vault =
            Vault::unlock(store.clone(), root, DEFAULT_KEY_LIFETIME, clock.clone(), random.clone())
                .await
                .unwrap();
        // Makes the installation's own workspace, to which reports belong.
        OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();

        let recipient = Recipient::read(&gnupg.public(USER), clock.now()).ok().unwrap();
        let secret = SecretBytes::new(gnupg.secret(USER));
        let signer = TextSigner::read(&secret, clock.now()).ok().unwrap();
        let disclosure = Disclosure::new(DisclosureParts {
            store,
            clock: clock.clone(),
            random,
            public_url: "https://causeway.test".parse().unwrap(),
            config: DisclosureConfig {
                contacts: vec!["mailto:security@example.com".parse().unwrap()],
                recipient: (!setup.without_key).then_some(recipient),
                signer: setup.signed.then_some(signer),
                languages: vec!["en".into()],
                mailer: setup.mailer,
                ..DisclosureConfig::default()
            },
        });
        Self { database, disclosure, clock, gnupg, _folder: folder }
    }
}

pub(crate) fn draft(text: &str) -> Draft {
    Draft { text: text.into(), reply_to: None }
}
