//! The configuration from outside: complaints as people see them, and the schema held to what is enforced.
//!
//! `tests/config/bad` and `good` are the cases; the `.txt` beside each is what tidemill has to say about it. After a
//! wanted change of words, `TIDEMILL_BLESS=1 cargo test --test config` writes the generated files anew.

use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tidemill::config::{self, Complaint, Config, Loaded};

/// A word that must never come back out.
const SECRET: &str = "hunter2";

fn env(name: &str) -> Option<String> {
    let value = match name {
        "SECRET" => SECRET,
        "STRUCTURE" => "a, b]\n evil: true",
        "BROKERS" => "one:9092,two:9092",
        "HOUR" => "1h",
        "TRUE" => "true",
        "OFF" => "off",
        "TWO" => "2",
        "COUNT" => "count",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.into())
}

/// Stands for librdkafka, which repeats a bad value in its messages.
fn known(name: &str, value: &str) -> Result<(), String> {
    if name.starts_with("unknown.") { Err(format!("no such configuration property (value {value})")) } else { Ok(()) }
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The pipelines in a folder, by name.
fn cases(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(root(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Their test cases are for tests/trial.rs.
    let is_pipeline = |path: &str| path.ends_with(".yaml") && !path.ends_with(".test.yaml");
    paths.retain(|path| path.to_str().is_some_and(is_pipeline));
    paths.sort();
    assert!(!paths.is_empty(), "{folder} is empty");
    paths
}

fn load(path: &Path) -> Result<Loaded, Vec<Complaint>> {
    config::load_with(path, &env, &known)
}

/// Complaints with the name of the file for its path, so that they read the same on every machine.
fn shown(complaints: &[Complaint]) -> String {
    let mut text = String::new();
    for complaint in complaints {
        let mut complaint = complaint.clone();
        complaint.file = Path::new(&complaint.file).file_name().unwrap().to_str().unwrap().to_owned();
        complaint.message = complaint.message.replace(root("tests/config").to_str().unwrap(), "…");
        writeln!(text, "{complaint}").unwrap();
    }
    text
}

/// Compares with the file at `path`, or writes it if that is wished.
fn expect(path: &Path, actual: &str) {
    if std::env::var_os("TIDEMILL_BLESS").is_some() {
        std::fs::write(path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs; TIDEMILL_BLESS=1 cargo test --test config writes it anew\n--- is\n{actual}\n--- should be\n{expected}",
        path.display()
    );
}

#[test]
fn every_bad_pipeline_gets_its_complaints() {
    for path in cases("tests/config/bad") {
        let complaints = load(&path).map(|_| ()).expect_err(&path.display().to_string());
        let text = shown(&complaints);
        assert!(!text.contains(SECRET), "{} shows a secret:\n{text}", path.display());
        assert!(complaints.iter().any(Complaint::is_error), "{}", path.display());
        expect(&path.with_extension("txt"), &text);
    }
}

#[test]
fn every_good_pipeline_gets_its_warnings() {
    for path in cases("tests/config/good") {
        let loaded = load(&path).unwrap_or_else(|complaints| panic!("{}", shown(&complaints)));
        let debug = format!("{loaded:?}");
        assert!(!debug.contains(SECRET), "{} shows a secret:\n{debug}", path.display());
        expect(&path.with_extension("txt"), &shown(&loaded.warnings));
    }
}

#[test]
fn traces_are_refused_by_a_build_that_has_none_and_the_url_is_made_whole() {
    let path = root("tests/config/traces.yaml");
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    assert!(schema.is_valid(&serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()));
    match load(&path) {
        Err(complaints) if !cfg!(feature = "traces") => expect(&path.with_extension("txt"), &shown(&complaints)),
        Ok(loaded) if cfg!(feature = "traces") => {
            assert_eq!(loaded.config.traces.unwrap().url, "http://127.0.0.1:4318/v1/traces");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_schema_refuses_what_it_can_say_and_accepts_the_rest() {
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    for path in cases("tests/config/bad").into_iter().chain(cases("tests/config/good")) {
        let text = std::fs::read_to_string(&path).unwrap();
        // Another reader of YAML 1.2: the schema is for editors, which have their own.
        let yaml_1_2 = serde_saphyr::options! { strict_booleans: true };
        let value = serde_saphyr::from_str_with_options::<Value>(&text, yaml_1_2);
        let accepted = value.as_ref().is_ok_and(|value| schema.is_valid(value));
        let says = text.lines().next().unwrap();
        match says {
            "# schema: refuses" => assert!(!accepted, "the schema accepts {}", path.display()),
            "# schema: accepts" => {
                let errors: Vec<_> = schema.iter_errors(value.as_ref().unwrap()).map(|e| e.to_string()).collect();
                assert!(accepted, "the schema refuses {}: {errors:?}", path.display());
            }
            // What YAML itself refuses, another reader may or may not.
            "# schema: cannot say" => assert!(accepted || value.is_err(), "the schema refuses {}", path.display()),
            other => panic!("{} begins with {other:?}", path.display()),
        }
    }
}

/// What only `check` can say: everything else it refuses, the schema refuses as well.
const BEYOND_THE_SCHEMA: &[&str] = &[
    "goes from",
    "is at least",
    "a quarter of",
    "cannot read the keys",
    "is longer than `size`",
    "`window.offset` is as long",
    "is declared twice",
    "is the same topic",
    "is a source topic",
];

#[test]
fn the_schema_and_check_agree_on_every_key_with_every_kind_of_value() {
    let schema = jsonschema::validator_for(&config::schema()).unwrap();
    let text = std::fs::read_to_string(root("config/reference.yaml")).unwrap();
    let mut reference: Value = serde_saphyr::from_str(&text).unwrap();
    reference["source"]["keys"] = serde_json::json!(["AA", "UA"]);
    reference["kafka"]["instance"] = "one".into();
    if cfg!(feature = "traces") {
        reference["traces"]["otlp"] = "http://[::1]:4318/otlp".into();
    }
    reference["kafka"]["properties"]["fetch.wait.max.ms"] = 20.into();
    let mut hopping = reference.clone();
    hopping["window"] = serde_json::json!({ "hopping": { "size": "10m", "every": "5s" }, "grace": "1h" });
    let strange = serde_json::json!([
        null, true, 5, -1, 1.5, "", "x", "off", "auto", "5s", "64MiB", "1h 30m", "a b", "^a", "5", "count", [], ["x"],
        [5], {}, { "x": "y" }, { "file": "none" }, { "sum": "x" }, "${env:TWO}", "${env:HOUR}", "${env:OFF}"
    ]);
    let (mut agreed, mut refused) = (0, 0);
    let all = [&reference, &hopping].map(|pipeline| pointers("", pipeline).into_iter().map(move |at| (pipeline, at)));
    for (reference, pointer) in all.into_iter().flatten() {
        let mut variants: Vec<Value> = Vec::new();
        for value in strange.as_array().unwrap() {
            let mut variant = reference.clone();
            *variant.pointer_mut(&pointer).unwrap() = value.clone();
            variants.push(variant);
        }
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut without = reference.clone();
        if let Some(section) = without.pointer_mut(parent).unwrap().as_object_mut() {
            section.remove(name).unwrap();
            variants.push(without.clone());
            let section = without.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            section.insert("unheard_of".into(), 5.into());
            variants.push(without);
        }
        for variant in variants {
            // JSON is YAML.
            let read = config::parse("text", &variant.to_string(), Path::new(""), &env);
            let complaints = read.map(|_| ()).err().unwrap_or_default();
            let beyond =
                |complaint: &&Complaint| BEYOND_THE_SCHEMA.iter().any(|words| complaint.message.contains(words));
            let is_substituted = variant.to_string().contains("${");
            match schema.is_valid(&variant) {
                true if is_substituted => {}
                true => {
                    let unsaid: Vec<_> = complaints.iter().filter(|c| c.is_error() && !beyond(c)).cloned().collect();
                    assert!(unsaid.is_empty(), "the schema accepts {pointer} in {variant}\n{}", shown(&unsaid));
                }
                false => {
                    assert!(complaints.iter().any(Complaint::is_error), "check accepts {pointer} in {variant}");
                    refused += 1;
                }
            }
            agreed += 1;
        }
    }
    assert!(agreed > 1000 && refused > 500 && refused < agreed, "{refused} of {agreed} refused");
}

/// JSON pointers to everything below `value`.
fn pointers(at: &str, value: &Value) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)).collect(),
        _ => Vec::new(),
    };
    below.into_iter().flat_map(|(at, value)| [vec![at.clone()], pointers(&at, value)].concat()).collect()
}

#[test]
fn the_schema_in_the_documentation_is_the_printed_one() {
    let mut printed = Vec::new();
    tidemill::cli::schema::schema(&mut printed).unwrap();
    expect(&root("docs/tidemill.schema.json"), &String::from_utf8(printed).unwrap());
}

#[test]
fn the_pipelines_to_start_from_are_valid_without_a_warning() {
    for path in cases("config") {
        let loaded = load(&path).unwrap_or_else(|complaints| panic!("{}", shown(&complaints)));
        assert_eq!(shown(&loaded.warnings), "", "{}", path.display());
    }
}

#[test]
fn the_reference_says_every_key_and_every_default() {
    let text = std::fs::read_to_string(root("config/reference.yaml")).unwrap();
    for Key { path, default, .. } in keys() {
        let name = path.rsplit('.').next().unwrap();
        let written =
            text.lines().any(|line| line.trim_start_matches([' ', '#', '-', '{']).starts_with(&format!("{name}:")));
        assert!(written, "config/reference.yaml does not have `{path}`");
        if let Some(default) = default.filter(|default| default != "{}") {
            let line = format!("{name}: {default}");
            assert!(text.contains(&line), "config/reference.yaml does not have `{line}`");
        }
    }
}

#[test]
fn writing_the_defaults_out_changes_nothing() {
    let smallest = std::fs::read_to_string(root("tests/config/good/smallest.yaml")).unwrap();
    let mut value: Value = serde_saphyr::from_str(&smallest).unwrap();
    for Key { path, default, .. } in keys() {
        let Some(default) = default.filter(|default| default != "{}") else { continue };
        let (section, name) = path.split_once('.').unwrap_or(("", &path));
        let default = serde_json::from_str(&default).unwrap_or(Value::String(default.clone()));
        match (section, name.split_once('.')) {
            ("", _) => value[name] = default,
            (_, None) => value[section][name] = default,
            (_, Some((middle, name))) => value[section][middle][name] = default,
        }
    }
    // JSON is YAML.
    let [implicit, explicit] = [smallest, value.to_string()].map(|text| {
        let loaded = config::parse("text", &text, Path::new(""), &env);
        format!("{:#?}", loaded.unwrap_or_else(|complaints| panic!("{}", shown(&complaints))).config)
    });
    assert_eq!(implicit, explicit);
    assert!(explicit.contains("max_record_bytes: 921600"), "{explicit}");
}

/// One key of the schema.
struct Key {
    /// With its sections, joined by dots.
    path: String,
    values: String,
    required: bool,
    default: Option<String>,
    description: String,
}

/// All keys in the order of the schema.
fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    collect("", &config::schema(), &mut keys);
    keys
}

fn collect(path: &str, schema: &Value, keys: &mut Vec<Key>) {
    let required = |name: &str| schema["required"].as_array().is_some_and(|r| r.iter().any(|key| key == name));
    for (name, key) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        keys.push(Key {
            values: values(key),
            required: required(name),
            default: key.get("default").map(|default| default.as_str().map_or(default.to_string(), Into::into)),
            description: key["description"].as_str().unwrap().into(),
            path: path.clone(),
        });
        collect_below(&path, key, keys);
    }
    if schema["additionalProperties"].is_object() {
        collect_below(&format!("{path}.NAME"), &schema["additionalProperties"], keys);
    }
}

fn collect_below(path: &str, schema: &Value, keys: &mut Vec<Key>) {
    collect(path, schema, keys);
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        collect(path, alternative, keys);
    }
}

/// What a key takes, for people.
fn values(schema: &Value) -> String {
    if let Some(alternatives) = schema["anyOf"].as_array() {
        let words = alternatives.iter().filter(|a| a["pattern"] != r"\$\{").map(values).collect::<Vec<_>>();
        return words.join(", or ");
    }
    let quoted = |value: &Value| format!("`{}`", value.as_str().map_or(value.to_string(), Into::into));
    match (&schema["enum"], &schema["title"], schema["type"].as_str()) {
        (Value::Array(words), ..) => words.iter().map(quoted).collect::<Vec<_>>().join(", "),
        (_, Value::String(title), _) => title.clone(),
        (_, _, Some("array")) => format!("a list: {}", values(&schema["items"])),
        (_, _, Some("object")) => "a section".into(),
        (_, _, Some("boolean")) => "`true`, `false`".into(),
        (_, _, Some(kind)) => kind.into(),
        _ => schema.get("const").map(quoted).unwrap_or_default(),
    }
}

#[test]
fn the_documentation_has_the_table_of_the_schema() {
    let mut table = String::from("| key | takes | unless set | meaning |\n|---|---|---|---|\n");
    for Key { path, values, required, default, description } in keys() {
        let default = match default {
            Some(default) => format!("`{default}`"),
            None if required => "required".into(),
            None => "–".into(),
        };
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(table, "| `{path}` | {} | {default} | {} |", cell(&values), cell(&description)).unwrap();
    }
    expect_part("keys", &table);
}

#[test]
fn the_documentation_lists_the_owned_properties() {
    let schema = config::schema();
    let names = &schema["properties"]["kafka"]["properties"]["properties"]["propertyNames"]["not"]["enum"];
    let names: Vec<_> = names.as_array().unwrap().iter().map(|name| format!("`{}`", name.as_str().unwrap())).collect();
    assert!(names.len() > 20, "{names:?}");
    expect_part("owned", &format!("{}\n", names.join(", ")));
}

/// Compares the generated part of the documentation that is called `name`.
fn expect_part(name: &str, part: &str) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let path = root("docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- {name}: begin (generated) -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = text.split_once(&begin).expect("the marker where the part begins");
    let (_, after) = rest.split_once(&end).expect("the marker where the part ends");
    expect(&path, &format!("{before}{begin}{part}{end}{after}"));
}

fn good(name: &str) -> Config {
    load(&root("tests/config/good").join(name)).unwrap_or_else(|complaints| panic!("{}", shown(&complaints))).config
}

#[test]
fn substituted_text_is_read_as_its_keys_own_type() {
    let config = good("substitution.yaml");
    assert_eq!((config.name.as_str(), config.kafka.group.as_str()), ("p-test", "g"));
    assert_eq!(config.kafka.brokers, "one:9092,two:9092");
    assert!(config.kafka.static_membership);
    assert_eq!(config.lanes, Some(2));
    assert_eq!(config.pipeline.window.size_ms, 3_600_000);
    assert_eq!(config.pipeline.window.idle, config::Idle::Off);
    assert_eq!(config.kafka.properties["sasl.password"], SECRET);
    assert_eq!(config.kafka.properties["note"], "${env:X}");
}

#[test]
fn declared_keys_keep_their_order_and_lose_their_line_ends() {
    let keys = good("keys-from-a-file.yaml").pipeline.keys.clone().unwrap();
    assert_eq!(keys.iter().map(|key| &**key).collect::<Vec<_>>(), [b"AA", b"UA", b"B6"]);
    let keys = good("topics-by-expression.yaml").pipeline.keys.clone().unwrap();
    assert_eq!(keys.iter().map(|key| &**key).collect::<Vec<&[u8]>>(), [&b""[..], b"5", b"AA"]);
}

#[test]
fn numbers_and_booleans_of_properties_pass_as_they_are_written() {
    let config = good("secret-in-the-file.yaml");
    assert_eq!(config.kafka.properties["fetch.wait.max.ms"], "20");
    assert_eq!(config.kafka.properties["check.crcs"], "true");
}

#[test]
fn check_prints_everything_and_says_so_by_its_exit_code() {
    for (path, code, last) in [
        ("config/flights.yaml", 0, "valid, no errors, no warnings\n"),
        ("tests/config/good/smallest.yaml", 0, "valid, no errors, 2 warnings\n"),
        ("tests/config/bad/topics-twice.yaml", 2, "not valid, 1 error, no warnings\n"),
        ("no/such/file.yaml", 2, "not valid, 1 error, no warnings\n"),
    ] {
        let mut printed = Vec::new();
        assert_eq!(tidemill::cli::check::check(&root(path), &mut printed).unwrap(), code, "{path}");
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.ends_with(last), "{path}:\n{printed}");
    }
}

/// What breaks YAML, one way or another.
const PIECES: &[&str] = &[
    "{", "}", "[", "]", ": ", "\n", "\n  ", "\n      ", "- ", "&a ", "*a", "!!int ", "\"", "'", "${env:", "|\n", "ü",
    "\0", "---\n", "# ", "? ", "%", "\t", "",
];

#[test]
fn no_text_whatever_makes_it_panic_or_show_a_secret() {
    use proptest::prelude::*;
    let flights = std::fs::read_to_string(root("config/flights.yaml")).unwrap();
    let secret = format!("  properties:\n    sasl.password: {SECRET}\n    linger.ms: 5\n");
    let text = flights.replace("source:\n", &format!("{secret}source:\n"));
    let name_to_value = text.find("sasl").unwrap()..text.find(SECRET).unwrap() + SECRET.len();
    proptest!(ProptestConfig { cases: 2000, max_global_rejects: 1_000_000, failure_persistence: None, ..ProptestConfig::default() }, |(at in 0..text.len(), length in 0usize..20, piece in 0..PIECES.len())| {
        let end = (at + length).min(text.len());
        // Without its name nobody can know a secret.
        prop_assume!(end <= name_to_value.start || at >= name_to_value.end);
        let mut mangled = text.clone().into_bytes();
        mangled.splice(at..end, PIECES[piece].bytes());
        if let Ok(mangled) = String::from_utf8(mangled)
            && let Err(complaints) = config::parse("text", &mangled, Path::new(""), &env)
        {
            prop_assert!(complaints.iter().any(Complaint::is_error));
            prop_assert!(!shown(&complaints).contains(SECRET), "{}", shown(&complaints));
        }
    });
}
