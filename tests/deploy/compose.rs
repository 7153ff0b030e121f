//! docker-compose.yml: its schema, and what its services say of each other and of this repository.

use crate::{pipeline, promtool, read, root, shipped, text, texts, topics, with, wrong, yaml};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tidemill::config::{Config, Idle};

pub const CONFIG: &str = "deploy/compose/flights.yaml";

pub fn file() -> Value {
    yaml("docker-compose.yml")
}

pub fn config() -> Config {
    pipeline(CONFIG, &[])
}

/// Bind mounts of a service: the path here, and the one inside.
fn mounts(service: &Value) -> Vec<(String, String)> {
    let binds = texts(&service["volumes"]).into_iter().filter(|volume| volume.starts_with("./"));
    binds
        .map(|bind| {
            let parts: Vec<_> = bind.split(':').collect();
            assert_eq!(parts.len(), 3, "{bind} is not written as here:there:ro");
            assert_eq!(parts[2], "ro", "{bind} can be written to");
            (parts[0].trim_start_matches("./").to_owned(), parts[1].to_owned())
        })
        .collect()
}

/// The one topic that a shell loop over names creates, with its options, and all names.
pub struct Topics {
    pub names: Vec<String>,
    pub partitions: i32,
    pub retention_ms: String,
}

/// What the service `topics` creates.
pub fn created() -> Topics {
    let script = text(&file()["services"]["topics"]["command"][0]);
    let after = |words: &str| {
        let rest = script.split_once(words).unwrap_or_else(|| panic!("no {words:?} in {script}")).1;
        rest.split([' ', '\n']).next().unwrap().to_owned()
    };
    let names = script.split_once("for topic in ").unwrap().1.split_once(';').unwrap().0;
    Topics {
        names: names.split(' ').map(str::to_owned).collect(),
        partitions: after("--partitions ").parse().unwrap(),
        retention_ms: after("--config retention.ms="),
    }
}

#[test]
fn it_keeps_the_schema_of_compose() {
    let schema = serde_json::from_str(&read("tests/deploy/schemas/compose.json")).unwrap();
    let file = file();
    assert_eq!(wrong(&schema, &file), [] as [&str; 0]);
    let worker = "/services/worker";
    for (place, name, member) in [
        ("", "service", json!({})),
        (worker, "imagee", json!("x")),
        (worker, "ports", json!("127.0.0.1::9640")),
        (worker, "read_only", json!(["yes"])),
        (worker, "depends_on", json!({ "topics": { "condition": "done" } })),
        ("/services/kafka/healthcheck", "every", json!("5s")),
    ] {
        assert!(!wrong(&schema, &with(&file, place, name, Some(member))).is_empty(), "{place}/{name} is not found");
    }
}

#[test]
fn every_file_that_a_service_mounts_is_there() {
    let file = file();
    let services = file["services"].as_object().unwrap();
    let mounted: Vec<_> = services.values().flat_map(mounts).collect();
    for (here, there) in &mounted {
        assert!(root(here).is_file(), "{there} is {here}, which is no file");
    }
    assert!(mounted.len() >= 8, "{mounted:?}");
    for service in services.values() {
        let context = service["build"]["context"].as_str();
        assert!(context.is_none_or(|context| root(context).join("Dockerfile").is_file()), "{context:?}");
        assert!(context.is_some() || text(&service["image"]).contains(':'), "an image without a version: {service}");
        for volume in texts(&service["volumes"]).iter().filter(|volume| !volume.starts_with("./")) {
            let name = volume.split(':').next().unwrap();
            assert!(file["volumes"].as_object().unwrap().contains_key(name), "{volume} is declared nowhere");
        }
    }
}

#[test]
fn nothing_is_published_beyond_this_machine() {
    let file = file();
    let ports: Vec<_> = file["services"].as_object().unwrap().values().flat_map(|it| texts(&it["ports"])).collect();
    assert!(ports.len() >= 4 && ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{ports:?}");
}

#[test]
fn workers_can_be_many() {
    let file = file();
    let (worker, config) = (&file["services"]["worker"], config());
    // Each of these is one for all replicas, and so for one only.
    for name in ["container_name", "hostname", "mac_address", "network_mode"] {
        assert!(worker[name].is_null(), "{name} of the worker is fixed");
    }
    assert!(worker["networks"].is_null(), "a network may fix an address");
    assert_eq!(config.kafka.instance, None);
    assert!(!config.kafka.static_membership);
    let ports = texts(&worker["ports"]);
    let inside = ports[0].strip_prefix("127.0.0.1::").expect("a port of the host is fixed");
    let listen = config.http.as_ref().unwrap().listen;
    assert!(listen.ip().is_unspecified(), "{listen} is not to be reached from other containers");
    assert_eq!((ports.len(), inside.parse().ok()), (1, Some(listen.port())));
    assert!(created().partitions >= 3, "three workers want three partitions");
    // Nobody waits for one of several replicas to be healthy, and nobody begins before there are topics.
    for (name, service) in file["services"].as_object().unwrap() {
        assert!(service["depends_on"]["worker"].is_null(), "{name} waits for a worker");
    }
    for name in ["worker", "producer"] {
        let waits = &file["services"][name]["depends_on"]["topics"]["condition"];
        assert_eq!(waits, "service_completed_successfully", "{name}");
    }
    assert_eq!(file["services"]["topics"]["restart"], "no");
}

#[test]
fn the_worker_may_do_what_it_must_and_no_more() {
    let file = file();
    let worker = &file["services"]["worker"];
    assert_eq!((&worker["read_only"], &worker["cap_drop"]), (&json!(true), &json!(["ALL"])));
    assert_eq!(worker["security_opt"], json!(["no-new-privileges:true"]));
    assert!(texts(&worker["tmpfs"])[0].starts_with("/tmp:"), "the lock on its place has no room");
    let config = config();
    assert_eq!(config.memory.budget_bytes, None, "memory.budget is not auto");
    assert_eq!(worker["mem_limit"], worker["memswap_limit"]);
    let grace = text(&worker["stop_grace_period"]).strip_suffix('s').unwrap().parse().map(Duration::from_secs).unwrap();
    assert!(grace > config.shutdown_timeout, "{grace:?}");
}

#[test]
fn the_services_speak_of_the_same_topics_and_ports() {
    let file = file();
    let (services, config) = (&file["services"], config());
    let created = created();
    assert_eq!(created.names, topics(&config), "created, and in {CONFIG}");
    assert_eq!(created.retention_ms, "-1", "flights of 2013 would be deleted");
    let loads = texts(&services["producer"]["command"]);
    let value = |name: &str| &loads[loads.iter().position(|word| word == name).unwrap() + 1];
    assert_eq!([value("--load")], [&config.topics.patterns[0]]);
    assert_eq!(value("--brokers"), &config.kafka.brokers);
    let advertised = text(&services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]);
    assert!(advertised.split(',').any(|it| it == format!("INSIDE://{}", config.kafka.brokers)), "{advertised}");
    assert!(text(&services["topics"]["command"][0]).contains(&format!("--bootstrap-server {}", config.kafka.brokers)));
    // Prometheus asks the workers, and Grafana asks Prometheus.
    let prometheus = yaml("deploy/compose/prometheus.yml");
    let job = &prometheus["scrape_configs"][0];
    assert_eq!(job["job_name"], "tidemill");
    assert_eq!(job["dns_sd_configs"][0]["names"], json!(["worker"]));
    assert_eq!(job["dns_sd_configs"][0]["port"], config.http.unwrap().listen.port());
    let source = yaml("dashboards/provisioning/datasources.yaml");
    let port = text(&services["prometheus"]["ports"][0]).rsplit(':').next().unwrap().to_owned();
    assert_eq!(source["datasources"][0]["url"], format!("http://prometheus:{port}"));
    assert_eq!(source["datasources"][0]["jsonData"]["timeInterval"], prometheus["global"]["scrape_interval"]);
}

#[test]
fn prometheus_takes_its_configuration_as_it_is_mounted() {
    let folder = tempfile::tempdir().unwrap();
    for (here, there) in mounts(&file()["services"]["prometheus"]) {
        let inside = folder.path().join(there.strip_prefix("/etc/prometheus/").unwrap());
        std::fs::copy(root(&here), inside).unwrap();
    }
    promtool(&["check", "config", folder.path().join("prometheus.yml").to_str().unwrap()]);
}

#[test]
fn grafana_finds_every_dashboard_where_its_provisioning_looks() {
    let file = file();
    let grafana = &file["services"]["grafana"];
    let mounts = mounts(grafana);
    let folder = text(&yaml("dashboards/provisioning/dashboards.yaml")["providers"][0]["options"]["path"]);
    let found = mounts.iter().filter(|(_, there)| there.starts_with(&format!("{folder}/")));
    let found: BTreeSet<_> = found.map(|(here, _)| here.clone()).collect();
    let entries = std::fs::read_dir(root("dashboards")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = entries.map(|name| format!("dashboards/{}", name.to_string_lossy()));
    let all: BTreeSet<_> = names.filter(|name| name.ends_with(".json")).collect();
    assert_eq!(found, all);
    let home = &grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert!(mounts.iter().any(|(_, there)| home == there), "{home}");
    for kind in ["datasources", "dashboards"] {
        let place = format!("/etc/grafana/provisioning/{kind}/tidemill.yaml");
        assert!(mounts.contains(&(format!("dashboards/provisioning/{kind}.yaml"), place)), "{kind}");
    }
}

#[test]
fn its_pipeline_is_the_one_to_start_from_but_for_how_it_ends() {
    let (config, shipped) = (config(), shipped());
    let mut pipeline = (*config.pipeline).clone();
    assert_eq!(pipeline.window.idle, Idle::Close { after_ms: 30_000 });
    pipeline.window.idle = shipped.pipeline.window.idle;
    assert_eq!(Arc::new(pipeline), shipped.pipeline);
    assert_eq!((config.name, config.kafka.group), (shipped.name, shipped.kafka.group));
}
