//! A staging machine: everything as in production, and no real money.

use std::collections::BTreeSet;

use coursegate::adapter::ikhokha::IkhokhaClient;
use coursegate::adapter::memory::MemoryStore;
use coursegate::readiness::{self, FindingLevel, ReadinessRule, Report};
use coursegate::registrar::{BuildError, NotReady, RegistrarBuilder};
use coursegate::{Config, Environment, Mode, Registrar};

use crate::configuration::{environment, good};
use crate::readiness::builder;

const HERE: &str = "http://127.0.0.1:8081/public-api/v1/api";

/// A laptop: a simulator with made-up credentials, and a site that nobody else can reach.
fn laptop(mode: &str, api: &str) -> Config {
    let mut variables = good();
    for (name, value) in [
        ("COURSEGATE_MODE", mode),
        ("IKHOKHA_API_URL", api),
        ("IKHOKHA_APP_ID", "IKTESTAPPLICATION"),
        ("IKHOKHA_APP_SECRET", "test-secret-0123456789abcdef"),
        ("COURSEGATE_CALLBACK_URL", "http://127.0.0.1:8080/hook"),
        (
            "COURSEGATE_SUCCESS_URL",
            "http://127.0.0.1:8080/paid/{reference}",
        ),
        ("COURSEGATE_FAILURE_URL", "http://127.0.0.1:8080/failed"),
        ("COURSEGATE_SITE_URL", "http://127.0.0.1:8080"),
    ] {
        variables.insert(name, value.to_owned());
    }
    Config::from_environment(&environment(&variables)).unwrap()
}

fn criticals(report: &Report) -> BTreeSet<ReadinessRule> {
    report.criticals().map(|finding| finding.rule).collect()
}

fn with_client(config: Config) -> RegistrarBuilder {
    let client = IkhokhaClient::from_config(&config).unwrap();
    builder(config).gateway(client)
}

#[test]
fn a_laptop_is_ready_for_staging_and_not_for_real_money() {
    let environment = Environment::default();
    let staging = with_client(laptop("staging", HERE));
    let report = staging.check(&environment);
    assert!(report.ready, "{report}");
    assert!(report.has(ReadinessRule::StagingMode));
    let text = report.to_string();
    assert!(text.contains("READY FOR STAGING, where no real money moves"));
    let registrar = staging.build_production(&report).unwrap();
    // It does not pretend that this provider is a real one.
    assert_eq!(registrar.test_doubles(), ["gateway"]);

    let live = with_client(laptop("live", HERE));
    let report = live.check(&environment);
    assert!(
        !report.ready && report.has(ReadinessRule::TestDouble),
        "{report}"
    );
    let mut api = report.criticals();
    let api = api.find(|finding| finding.rule == ReadinessRule::ApiHostOther);
    let remedy = &api.unwrap().remedy;
    assert!(
        remedy.contains("Unset IKHOKHA_API_URL")
            && remedy.contains("set COURSEGATE_MODE to staging"),
        "{remedy}"
    );
    assert!(live.build_production(&report).is_err());
}

#[test]
fn a_provider_that_may_be_real_is_refused() {
    let found = |mode: &str, api: &str| {
        let report = readiness::check(&laptop(mode, api), &Environment::default());
        criticals(&report)
    };
    let path = "/public-api/v1/api";
    for origin in [
        "http://127.0.0.1:8081",
        "http://localhost:8081",
        "http://[::1]:8081",
        "https://10.0.0.7",
        "https://192.168.1.5:8443",
        "https://simulator",
        "https://simulator.internal.",
        "https://provider.test",
        "https://[fd00::1]",
        "https://[::ffff:10.0.0.1]",
    ] {
        let found = |mode| found(mode, &format!("{origin}{path}"));
        assert_eq!(found("staging"), BTreeSet::new(), "{origin}");
        assert!(
            found("live").contains(&ReadinessRule::ApiHostOther),
            "{origin}"
        );
    }
    for origin in [
        "https://api.ikhokha.com",
        "https://API.ikhokha.com.:443",
        "https://provider.co.za",
        "https://41.0.0.1",
        "https://[2001:4860:4860::8888]",
        "https://0.0.0.0",
        "https://169.254.169.254",
        // These lead wherever their owner says.
        "https://localtest.me",
        "https://41.0.0.1.nip.io",
        "https://abc.ngrok-free.app",
    ] {
        let found = found("staging", &format!("{origin}{path}"));
        assert_eq!(
            found,
            BTreeSet::from([ReadinessRule::StagingProvider]),
            "{origin}"
        );
    }
    let no_path = found("staging", "http://127.0.0.1:8081");
    assert_eq!(no_path, BTreeSet::from([ReadinessRule::ApiPathOther]));
    // Unset, it is the provider itself.
    let real = laptop("staging", Config::API_URL);
    assert_eq!(real.api_url, Config::API_URL);
}

/// Wherever the address comes from, and however the registrar is made.
#[test]
fn no_registrar_of_a_staging_machine_has_a_real_provider() {
    let environment = Environment::default();
    let local = || laptop("staging", HERE);
    let real = || IkhokhaClient::from_config(&laptop("live", Config::API_URL)).unwrap();
    let found = |builder: &RegistrarBuilder| criticals(&builder.check(&environment));
    let one = BTreeSet::from([ReadinessRule::StagingProvider]);
    // A client that does not use the settings.
    assert_eq!(found(&builder(local()).gateway(real())), one);
    // A gateway that does not say where it asks.
    assert_eq!(found(&builder(local())), one);
    // One that was exchanged after the report was made.
    let report = with_client(local()).check(&environment);
    let exchanged = with_client(local()).gateway(real());
    let refused = exchanged.build_production(&report).unwrap_err();
    assert!(
        matches!(&refused, NotReady::Critical(found) if found[0].rule == ReadinessRule::StagingProvider),
        "{refused}"
    );
    // One beside parts that are for tests only.
    let trial = Registrar::builder(local(), MemoryStore::new()).gateway(real());
    assert_eq!(
        trial.build_for_tests().unwrap_err(),
        BuildError::StagingProvider
    );
    let trial = Registrar::builder(local(), MemoryStore::new());
    let client = IkhokhaClient::from_config(&local()).unwrap();
    assert!(trial.gateway(client).build_for_tests().is_ok());
}

#[test]
fn all_else_is_judged_as_in_production() {
    let found = |change: &dyn Fn(&mut Config)| {
        let mut config = laptop("staging", HERE);
        assert_eq!(config.mode, Mode::Staging);
        change(&mut config);
        criticals(&readiness::check(&config, &Environment::default()))
    };
    let one = |rule| BTreeSet::from([rule]);
    assert_eq!(
        found(&|config| config.site.callback_url = "http://school.co.za/hook".into()),
        one(ReadinessRule::PlainHttp)
    );
    assert_eq!(
        found(&|config| config.site.callback_url = "https://example.com/hook".into()),
        one(ReadinessRule::AddressExample)
    );
    let public = "https://staging.school.co.za/hook";
    assert_eq!(
        found(&|config| config.site.callback_url = public.into()),
        BTreeSet::new()
    );
    let local = laptop("staging", HERE);
    let client = IkhokhaClient::from_config(&local).unwrap();
    let memory = Registrar::builder(local, MemoryStore::new()).gateway(client);
    let report = memory.check(&Environment::default());
    assert_eq!(criticals(&report), one(ReadinessRule::TestDouble));
    // Its secret is one all the same.
    let exposed = Environment::new([("VITE_KEY", "test-secret-0123456789abcdef")]);
    let report = readiness::check(&laptop("staging", HERE), &exposed);
    assert_eq!(criticals(&report), one(ReadinessRule::SecretExposed));
    assert!(
        report
            .findings
            .iter()
            .all(|it| it.rule != ReadinessRule::StagingMode || it.level == FindingLevel::Warning)
    );
}
