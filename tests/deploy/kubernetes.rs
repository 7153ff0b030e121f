//! deploy/kubernetes: the schemas of its objects, and what they say of each other, of the pipeline and of the metrics.

use crate::{panels, pipeline, promtool, read, root, shipped, text, texts, topics, with, wrong, yaml};
use regex::Regex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tidemill::config::Config;

const FOLDER: &str = "deploy/kubernetes";
const RULES: &str = "deploy/kubernetes/prometheusrule.yaml";

fn object(name: &str) -> Value {
    yaml(&format!("{FOLDER}/{name}.yaml"))
}

/// Every object with the name of its file.
fn objects() -> Vec<(String, Value)> {
    let files = texts(&object("kustomization")["resources"]);
    files.into_iter().map(|file| (file.clone(), yaml(&format!("{FOLDER}/{file}")))).collect()
}

fn config() -> Config {
    pipeline(&format!("{FOLDER}/flights.yaml"), &[("POD_NAME", "tidemill-0")])
}

fn container() -> Value {
    object("statefulset")["spec"]["template"]["spec"]["containers"][0].clone()
}

/// The schema of an object: that of its kind, with the definitions that it refers to.
fn schema(of: &Value) -> Value {
    let all: Value = serde_json::from_str(&read("tests/deploy/schemas/kubernetes.json")).unwrap();
    let kind = format!("{} {}", text(&of["apiVersion"]), text(&of["kind"]));
    let own = &all["$defs"][&kind];
    assert!(own.is_object(), "no schema for {kind}: add it to tests/deploy/schemas/vendor.py");
    with(&with(own, "", "$schema", Some(all["$schema"].clone())), "", "$defs", Some(all["$defs"].clone()))
}

#[test]
fn every_object_keeps_the_schema_of_its_kind() {
    let objects = objects();
    for (file, object) in &objects {
        assert_eq!(wrong(&schema(object), object), [] as [&str; 0], "{file}");
        let invented = with(object, "/metadata", "owner", Some(json!("x")));
        assert!(!wrong(&schema(object), &invented).is_empty(), "{file}: an unknown member is not found");
    }
    let kinds: BTreeSet<_> = objects.iter().map(|(_, object)| text(&object["kind"])).collect();
    let wanted = ["PodDisruptionBudget", "PrometheusRule", "ScaledObject", "Service", "ServiceMonitor", "StatefulSet"];
    assert!(wanted.iter().all(|kind| kinds.contains(*kind)), "{kinds:?}");
}

#[test]
fn the_schemas_find_planted_faults() {
    let pod = "/spec/template/spec";
    let container = "/spec/template/spec/containers/0";
    for (name, place, member, value) in [
        ("statefulset", "/spec", "replicas", Some(json!("3"))),
        ("statefulset", "/spec", "selector", None),
        ("statefulset", pod, "terminationGracePeriodSeconds", Some(json!("30s"))),
        ("statefulset", container, "name", None),
        ("statefulset", container, "livenessprobe", Some(json!({}))),
        ("statefulset", "/spec/template/spec/containers/0/ports/0", "containerPort", Some(json!("9640"))),
        ("poddisruptionbudget", "/spec", "maxUnavailable", Some(json!([1]))),
        ("service", "/spec/ports/0", "port", None),
        ("servicemonitor", "/spec/endpoints/0", "interval", Some(json!("15 seconds"))),
        ("servicemonitor", "/spec", "selector", None),
        ("prometheusrule", "/spec/groups/0", "name", Some(json!(""))),
        ("prometheusrule", "/spec/groups/0/rules/0", "expr", None),
        ("scaledobject", "/spec", "minReplicaCount", Some(json!("3"))),
        ("scaledobject", "/spec", "triggers", None),
        ("scaledobject", "/spec/triggers/0/metadata", "threshold", Some(json!(50_000))),
    ] {
        let object = object(name);
        let broken = with(&object, place, member, value);
        assert!(!wrong(&schema(&object), &broken).is_empty(), "{name}: {place}/{member} is not found");
    }
}

#[test]
fn kustomize_names_every_file_and_no_other() {
    let kustomization = object("kustomization");
    let generated = texts(&kustomization["configMapGenerator"][0]["files"]);
    let named: BTreeSet<_> = texts(&kustomization["resources"]).into_iter().chain(generated).collect();
    let entries = std::fs::read_dir(root(FOLDER)).unwrap().map(|entry| entry.unwrap().file_name());
    let there = entries.map(|name| name.into_string().unwrap()).filter(|name| name != "kustomization.yaml").collect();
    assert_eq!(named, there);
    // What it generates is what the pods mount, under the path that they are told.
    let volumes = &object("statefulset")["spec"]["template"]["spec"]["volumes"];
    assert_eq!(volumes[0]["configMap"]["name"], kustomization["configMapGenerator"][0]["name"]);
    assert_eq!(kustomization["configMapGenerator"][0]["files"], json!(["flights.yaml"]));
    let container = container();
    assert_eq!(container["volumeMounts"][0]["name"], volumes[0]["name"]);
    assert_eq!(text(&container["args"][1]), text(&container["volumeMounts"][0]["mountPath"]) + "/flights.yaml");
    assert_eq!(container["image"], kustomization["images"][0]["name"]);
    assert_eq!(kustomization["namespace"], object("namespace")["metadata"]["name"]);
}

#[test]
fn its_rules_are_those_of_config() {
    let shipped = read("config/alerts.yml");
    let groups = shipped.split_once("\ngroups:\n").unwrap().1;
    let indented: String =
        groups.lines().map(|line| if line.is_empty() { "\n".into() } else { format!("  {line}\n") }).collect();
    let current = read(RULES);
    let head = current.split_once("\n  groups:\n").unwrap().0;
    let written = format!("{head}\n  groups:\n{indented}");
    if std::env::var_os("TIDEMILL_WRITE").is_some() {
        std::fs::write(root(RULES), &written).unwrap();
    }
    assert!(read(RULES) == written, "{RULES} has other rules: TIDEMILL_WRITE=1 cargo test --test deploy");
    assert_eq!(yaml(RULES)["spec"]["groups"], yaml("config/alerts.yml")["groups"]);
}

#[test]
fn everybody_means_the_same_port_and_the_same_pods() {
    let (set, service, container) = (object("statefulset"), object("service"), container());
    let listen = config().http.unwrap().listen;
    assert!(listen.ip().is_unspecified(), "{listen} is not to be reached from other pods");
    let port = &container["ports"][0];
    assert_eq!(port["containerPort"], listen.port());
    assert_eq!(service["spec"]["ports"][0]["port"], listen.port());
    for (name, by) in [
        ("service", &service["spec"]["ports"][0]["targetPort"]),
        ("liveness", &container["livenessProbe"]["httpGet"]["port"]),
        ("readiness", &container["readinessProbe"]["httpGet"]["port"]),
    ] {
        assert_eq!(by, &port["name"], "{name}");
    }
    assert_eq!(object("servicemonitor")["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert!(labels.as_object().is_some_and(|labels| !labels.is_empty()));
    let spread = &set["spec"]["template"]["spec"]["topologySpreadConstraints"];
    for (name, selector) in [
        ("set", &set["spec"]["selector"]["matchLabels"]),
        ("service", &service["spec"]["selector"]),
        ("budget", &object("poddisruptionbudget")["spec"]["selector"]["matchLabels"]),
        ("zones", &spread[0]["labelSelector"]["matchLabels"]),
        ("nodes", &spread[1]["labelSelector"]["matchLabels"]),
    ] {
        assert_eq!(selector, labels, "{name}");
    }
    let monitor = object("servicemonitor");
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]);
    assert_eq!(service["metadata"]["labels"][text(&monitor["spec"]["jobLabel"])], "tidemill", "the name of the job");
    assert_eq!(set["spec"]["serviceName"], service["metadata"]["name"]);
    assert_eq!(service["spec"]["clusterIP"], "None");
}

#[test]
fn the_scaler_asks_for_lag_and_keeps_between_3_and_12() {
    let (scaler, config) = (object("scaledobject"), config());
    let spec = &scaler["spec"];
    assert_eq!((&spec["minReplicaCount"], &spec["maxReplicaCount"]), (&json!(3), &json!(12)));
    let fallback = spec["fallback"]["replicas"].as_u64().unwrap();
    assert!((3..=12).contains(&fallback), "{fallback}");
    let set = object("statefulset");
    assert!(set["spec"]["replicas"].is_null(), "two would set the number of replicas");
    for (of, name) in [("apiVersion", &set["apiVersion"]), ("kind", &set["kind"]), ("name", &set["metadata"]["name"])] {
        assert_eq!(&spec["scaleTargetRef"][of], name);
    }
    let trigger = &spec["triggers"][0];
    assert_eq!((&trigger["type"], &trigger["metricType"]), (&json!("prometheus"), &json!("AverageValue")));
    let query = text(&trigger["metadata"]["query"]);
    assert!(text(&trigger["metadata"]["threshold"]).parse::<u32>().unwrap() > 0);
    let known = read("docs/metrics.md");
    let asked = panels::metrics_in(&query);
    assert!(asked.iter().any(|metric| metric.contains("_lag_")), "{query} is not about lag");
    for metric in asked {
        assert!(known.contains(&format!("| `{metric}` |")), "{metric} is not in docs/metrics.md");
    }
    assert!(query.contains(&format!("pipeline=\"{}\"", config.name)), "{query}");
    assert!(query.contains(&format!("namespace=\"{}\"", text(&object("kustomization")["namespace"]))), "{query}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("query.yml");
    let rule = json!({ "groups": [{ "name": "scaler", "rules": [{ "record": "query", "expr": query }] }] });
    std::fs::write(&file, rule.to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);
    // Its comment says how many partitions that takes.
    let partitions = config.lanes.unwrap() * 12;
    assert!(read("deploy/kubernetes/scaledobject.yaml").contains(&format!("{partitions} for these")), "{partitions}");
}

#[test]
fn a_pod_may_do_what_it_must_and_no_more() {
    let (set, container) = (object("statefulset"), container());
    let pod = &set["spec"]["template"]["spec"];
    let security = json!({
        "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": { "type": "RuntimeDefault" }
    });
    assert_eq!(pod["securityContext"], security);
    let strict = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] }
    });
    assert_eq!(container["securityContext"], strict);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["serviceAccountName"], object("serviceaccount")["metadata"]["name"]);
    let places: Vec<_> =
        container["volumeMounts"].as_array().unwrap().iter().map(|it| text(&it["mountPath"])).collect();
    assert!(places.contains(&"/tmp".to_owned()), "the lock on its place has no room: {places:?}");
}

#[test]
fn its_pipeline_fits_the_pod_that_runs_it() {
    let (config, shipped) = (config(), shipped());
    assert_eq!(config.pipeline, shipped.pipeline);
    assert_eq!(topics(&config), topics(&shipped));
    let (set, container) = (object("statefulset"), container());
    // Its place is the pod's name, and every variable that it asks for is set.
    assert_eq!(config.kafka.instance.as_deref(), Some("tidemill-0"));
    assert!(!config.kafka.static_membership, "a worker that is scaled away would keep its partitions");
    let env = container["env"].as_array().unwrap();
    assert_eq!(env[0]["valueFrom"]["fieldRef"]["fieldPath"], "metadata.name");
    let set_here: BTreeSet<_> = env.iter().map(|variable| text(&variable["name"])).collect();
    let file = read("deploy/kubernetes/flights.yaml");
    let asked = Regex::new(r"\$\{env:(\w+)\}").unwrap();
    let asked: BTreeSet<_> = asked.captures_iter(&file).map(|found| found[1].to_owned()).collect();
    assert_eq!(asked, set_here);
    let grace = set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(Duration::from_secs(grace) >= config.shutdown_timeout + Duration::from_secs(5), "{grace}");
    let resources = &container["resources"];
    assert_eq!(config.memory.budget_bytes, None, "memory.budget is not auto");
    assert_eq!(resources["limits"]["memory"], resources["requests"]["memory"], "memory that may be taken away");
    assert_eq!(resources["requests"]["cpu"], config.lanes.unwrap().to_string(), "a processor for each lane");
}
