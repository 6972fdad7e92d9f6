//! What a configuration becomes, and what is said about one that cannot be used.

use std::{fs, net::IpAddr, path::Path, time::Duration};

use expect_test::{Expect, expect};
use wayside::{
    envoy_config::{LoadOptions, Loaded, Setting, Weight, from_text, load, load_dir},
    message::Direction,
    proxy::spec::{CodeSource, FailurePolicy, FilterSpec, PluginConfiguration, PluginSpec},
};

const ROUTER: &str = r#"{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}"#;

/// A bootstrap with one listener; `manager` are further fields of its HTTP connection manager.
fn bootstrap(filters: &str, manager: &str) -> String {
    format!(
        r#"static_resources:
  listeners:
  - name: web
    address: {{socket_address: {{address: 127.0.0.1, port_value: 80}}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config: {{name: r, virtual_hosts: []}}
          http_filters: [{filters}]
          {manager}
"#
    )
}

/// A Wasm filter with these fields in its plugin configuration.
fn wasm(name: &str, fields: &str) -> String {
    format!(
        r#"{{name: {name}, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {{{fields}}}}}}}"#
    )
}

fn parse(text: &str) -> Result<Loaded, String> {
    from_text(text, Path::new("envoy.yaml"), &LoadOptions::default()).map_err(|errors| errors.to_string())
}

fn loaded(text: &str) -> Loaded {
    parse(text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn refused(text: &str, expected: Expect) {
    match parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(errors) => expected.assert_eq(&errors),
    }
}

fn plugin(fields: &str) -> PluginSpec {
    let spec = loaded(&bootstrap(&format!("{}, {ROUTER}", wasm("f", fields)), "")).spec;
    spec.plugins().next().expect("one plugin").clone()
}

fn listed(loaded: &Loaded) -> String {
    let line = |item: &wayside::envoy_config::Unsupported| {
        format!("{}{item}\n", if item.weight == Weight::Harmless { "(harmless) " } else { "" })
    };
    loaded.unsupported.iter().map(line).collect()
}

#[test]
fn the_example_loads_with_its_four_filters_in_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/envoy/envoy.yaml");
    let loaded = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
    let listener = &loaded.spec.listeners[0];
    let names: Vec<_> = listener.http.http_filters.filters().iter().map(FilterSpec::name).collect();
    assert_eq!(names, ["telemetry", "header-auth", "timeout", "retry-budget", "envoy.filters.http.router"]);
    assert!(listener.http.use_remote_address);
    for plugin in loaded.spec.plugins() {
        assert_eq!(plugin.failure_policy, FailurePolicy::Reload { base_interval: Duration::from_secs(1) });
        let PluginConfiguration::Raw(text) = &plugin.configuration else { panic!("{plugin:?}") };
        serde_json::from_slice::<serde_json::Value>(text).expect("JSON");
    }
    let may_matter: Vec<_> =
        loaded.unsupported.iter().filter(|item| item.weight == Weight::MayMatter).collect();
    assert!(may_matter.is_empty(), "{may_matter:?}");
}

#[test]
fn a_plugin_keeps_everything_that_is_written() {
    let plugin = plugin(
        r#"name: p, root_id: r, allow_on_headers_stop_iteration: true,
           configuration: {"@type": type.googleapis.com/google.protobuf.StringValue, value: "hello"},
           failurePolicy: fail_reload, reload_config: {backoff: {base_interval: 2.5s}},
           capability_restriction_config: {allowed_capabilities: {proxy_log: {}, fd_write: {}}},
           vm_config: {vm_id: v, runtime: envoy.wasm.runtime.v8, code: {local: {filename: dist/p.wasm}},
             configuration: {"@type": type.googleapis.com/google.protobuf.BytesValue, value: "AP8="},
             environment_variables: {key_values: {A: "1"}}}"#,
    );
    expect![[r#"
        PluginSpec {
            filter_name: "f",
            name: "p",
            root_id: "r",
            configuration: Raw(
                b"hello",
            ),
            vm: VmSpec {
                id: "v",
                configuration: Raw(
                    b"\0\xff",
                ),
                code: File(dist/p.wasm),
                environment: {
                    "A": "1",
                },
            },
            failure_policy: Reload {
                base_interval: 2.5s,
            },
            allow_on_headers_stop_iteration: true,
            allowed_capabilities: Some(
                {
                    "fd_write",
                    "proxy_log",
                },
            ),
            origin: "envoy.yaml:12:132",
        }
    "#]]
    .assert_debug_eq(&plugin);
}

#[test]
fn a_struct_reaches_the_guest_as_protobuf_bytes_as_in_envoy() {
    let plugin = plugin(
        r#"configuration: {"@type": type.googleapis.com/google.protobuf.Struct, value: {a: true}},
           vm_config: {code: {local: {filename: x}}}"#,
    );
    assert_eq!(&plugin.configuration.bytes()[..], [0x0a, 7, 0x0a, 1, b'a', 0x12, 2, 0x20, 1]);
}

#[test]
fn a_block_text_keeps_its_lines() {
    let text = bootstrap("", "").replace(
        "http_filters: []",
        r#"http_filters:
          - name: f
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: |
                    { "a":
                      1.0 }
                vm_config: { code: { local: { filename: x } } }
          - ROUTER"#,
    );
    let spec = loaded(&text.replace("ROUTER", ROUTER)).spec;
    let bytes = spec.plugins().next().map(|plugin| plugin.configuration.bytes());
    assert_eq!(bytes.as_deref(), Some(&b"{ \"a\":\n  1.0 }\n"[..]));
}

#[test]
fn code_can_stand_in_the_configuration_itself() {
    let plugin = plugin("vm_config: {code: {local: {inline_bytes: AGFzbQ==}}}");
    assert_eq!(plugin.vm.code, CodeSource::Inline(b"\0asm"[..].into()));
    assert_eq!(plugin.failure_policy, FailurePolicy::Closed);
}

#[test]
fn relative_code_paths_start_where_the_caller_says() {
    let text = bootstrap(
        &format!("{}, {ROUTER}", wasm("f", "vm_config: {code: {local: {filename: dist/x.wasm}}}")),
        "",
    );
    let options = LoadOptions { working_directory: Some("/srv".into()), ..LoadOptions::default() };
    let spec = from_text(&text, Path::new("a.yaml"), &options).expect("good").spec;
    let code = spec.plugins().next().map(|plugin| plugin.vm.code.clone());
    assert_eq!(code, Some(CodeSource::File("/srv/dist/x.wasm".into())));
}

#[test]
fn only_the_environment_that_was_given_is_copied() {
    let fields =
        "vm_config: {code: {local: {filename: x}}, environment_variables: {host_env_keys: [HOME, PATH]}}";
    let text = bootstrap(&format!("{}, {ROUTER}", wasm("f", fields)), "");
    let host_environment = [("HOME".to_owned(), "/h".to_owned())].into();
    let options = LoadOptions { host_environment, ..LoadOptions::default() };
    let loaded = from_text(&text, Path::new("envoy.yaml"), &options).expect("good");
    let environment = loaded.spec.plugins().next().map(|plugin| plugin.vm.environment.clone());
    assert_eq!(environment, Some([("HOME".to_owned(), "/h".to_owned())].into()));
    assert!(
        listed(&loaded).contains("host_env_keys[1]: not in the environment given"),
        "{}",
        listed(&loaded)
    );
}

#[test]
fn listener_and_manager_fields_reach_the_spec() {
    let manager = "use_remote_address: yes\n          preserveExternalRequestId: true\n          generate_request_id: \"false\"
          internal_address_config: {cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}";
    let text =
        bootstrap(ROUTER, manager).replace("- name: web", "- name: web\n    traffic_direction: inbound");
    let spec = loaded(&format!("node: {{id: me, cluster: c, metadata: {{k: 1.5}}}}\n{text}")).spec;
    let listener = &spec.listeners[0];
    assert_eq!((spec.name.as_str(), spec.node.id.as_str(), spec.node.cluster.as_str()), ("envoy", "me", "c"));
    // Envoy's YAML loader knows no decimals: a text is what a guest gets.
    assert_eq!(spec.node.metadata["k"], "1.5");
    assert_eq!(listener.direction, Direction::Inbound);
    assert_eq!(listener.address.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:80"));
    assert!(listener.http.use_remote_address && listener.http.preserve_external_request_id);
    assert!(!listener.http.generate_request_id);
    let contains =
        |ip: &str| listener.http.internal_addresses[0].contains(ip.parse::<IpAddr>().expect("an address"));
    assert!(contains("10.200.0.1") && !contains("11.0.0.1") && !contains("::1"));
}

#[test]
fn clusters_keep_their_endpoints_and_metadata() {
    let text = bootstrap(ROUTER, "") + "  clusters:
  - {name: c, type: STRICT_DNS, connect_timeout: 0.25s, metadata: {filter_metadata: {ns: {k: v}}},
     load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [
       {endpoint: {address: {socket_address: {address: shop, port_value: 8080}}}},
       {health_status: UNHEALTHY, endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 1}}}}]}]}}";
    let spec = loaded(&text).spec;
    let cluster = &spec.clusters["c"];
    let endpoints: Vec<_> =
        cluster.endpoints.iter().map(|e| format!("{}:{} {}", e.host, e.port, e.healthy)).collect();
    assert_eq!(endpoints, ["shop:8080 true", "10.0.0.1:1 false"]);
    assert_eq!(cluster.connect_timeout, Duration::from_millis(250));
    assert_eq!(cluster.metadata.namespace("ns").map(|fields| fields["k"].clone()), Some("v".into()));
}

#[test]
fn what_is_not_emulated_is_listed_with_its_place() {
    let buffer = r#"{name: buf, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 5}}"#;
    let text = bootstrap(
        &format!("{buffer}, {ROUTER}"),
        "normalize_path: true\n          access_log: []\n          noSuch: 1",
    );
    let loaded = loaded(&format!("{text}\nadmin: {{}}"));
    assert_eq!(loaded.spec.plugins().count(), 0);
    expect![[r#"
        (harmless) envoy.yaml:7:15: static_resources.listeners[0].filter_chains[0].filters[0].name: names of network filters have no effect
        envoy.yaml:12:52: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config: buf (envoy.extensions.filters.http.buffer.v3.Buffer) is not emulated; it is left out of the chain
        envoy.yaml:13:27: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.normalize_path: not emulated
        (harmless) envoy.yaml:14:23: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.access_log: access logs and traces are not written
        envoy.yaml:15:19: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.noSuch: not emulated
        (harmless) envoy.yaml:17:8: admin: there is no administration interface in a replay
    "#]]
    .assert_eq(&listed(&loaded));
}

#[test]
fn a_route_that_cannot_be_emulated_is_left_out_and_listed() {
    let routes = "route_config: {name: r, virtual_hosts: [{name: v, domains: ['*'], routes: [
            {match: {connect_matcher: {}}, direct_response: {status: 200}},
            {match: {prefix: /}, direct_response: {status: 201}}]}]}";
    let text = bootstrap(ROUTER, "").replace("route_config: {name: r, virtual_hosts: []}", routes);
    let loaded = loaded(&text);
    assert_eq!(loaded.spec.listeners[0].http.routes.virtual_hosts()[0].routes.len(), 1);
    assert!(
        listed(&loaded)
            .contains("connect_matcher: this kind of match is not emulated: the route is left out")
    );
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_file() {
    let filter = wasm(
        "f",
        "name: 12, failure_policy: SOMETIMES, vm_config: {runtime: envoy.wasm.runtime.null, code: {remote: {}}}",
    );
    let text = bootstrap(&format!("{filter}, {ROUTER}"), "use_remote_address: perhaps")
        .replace("port_value: 80", "port_value: 99999");
    refused(
        &text,
        expect![[r#"
        envoy.yaml:4:64: static_resources.listeners[0].address.socket_address.port_value: found the number 99999, expected a port from 0 to 65535
        envoy.yaml:12:139: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.config.name: found the number 12, expected text (in quotes: without them Envoy, too, reads something else)
        envoy.yaml:12:159: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.config.failure_policy: found the text "SOMETIMES", expected one of UNSPECIFIED, FAIL_RELOAD, FAIL_CLOSED, FAIL_OPEN
        envoy.yaml:12:181: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.config.vm_config: found the runtime envoy.wasm.runtime.null, expected a WebAssembly module: code compiled into Envoy cannot be run
        envoy.yaml:12:231: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.config.vm_config.code.remote: found code to be fetched, expected local.filename: nothing is fetched here; download the module and name the file
        envoy.yaml:13:31: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.use_remote_address: found the text "perhaps", expected true or false"#]],
    );
}

#[test]
fn a_chain_needs_its_router_at_the_end() {
    let filter = wasm("f", "vm_config: {code: {local: {filename: x}}}");
    refused(
        &bootstrap(&filter, ""),
        expect![
            "envoy.yaml:12:25: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters: found a chain that cannot work: the chain has no router; it must be the last filter, expected filters, then one router"
        ],
    );
    refused(
        &bootstrap(&format!("{ROUTER}, {filter}"), ""),
        expect![[
            r#"envoy.yaml:12:25: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters: found a chain that cannot work: the router "router" stands before other filters; it must be the last, expected filters, then one router"#
        ]],
    );
}

#[test]
fn what_envoy_would_refuse_in_a_plugin_is_refused() {
    let filter = |fields: &str| bootstrap(&format!("{}, {ROUTER}", wasm("f", fields)), "");
    let code = "code: {local: {filename: x}}";
    for (fields, part) in [
        (
            format!("fail_open: true, failure_policy: FAIL_OPEN, vm_config: {{{code}}}"),
            "both fail_open and failure_policy",
        ),
        (
            format!(
                "vm_config: {{{code}, environment_variables: {{host_env_keys: [A], key_values: {{A: b}}}}}}"
            ),
            "\"A\" in key_values and in host_env_keys",
        ),
        ("vm_config: {code: {local: {inline_bytes: '!'}}}".to_owned(), "found text that is not base64"),
        ("vm_config: {code: {}}".to_owned(), "found no code"),
        ("name: x".to_owned(), "found no vm_config"),
        (format!("configuration: {{value: x}}, vm_config: {{{code}}}"), "found no @type"),
        (format!("name: a, Name: b, vm_config: {{{code}}}"), ""),
    ] {
        let result = parse(&filter(&fields));
        match part {
            "" => assert!(
                result.is_ok_and(|loaded| listed(&loaded).contains("config.Name: not emulated")),
                "{fields}"
            ),
            part => {
                assert!(result.as_ref().is_err_and(|errors| errors.contains(part)), "{fields}: {result:?}")
            }
        }
    }
}

#[test]
fn names_and_domains_that_two_things_claim_are_refused() {
    refused(
        &bootstrap(ROUTER, "statPrefix: other"),
        expect![
            "envoy.yaml:13:23: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.statPrefix: found both stat_prefix and statPrefix, expected a field once"
        ],
    );
    refused(
        &bootstrap(ROUTER, "stat_prefix: other"),
        expect![[r#"envoy.yaml:13:11: found the key "stat_prefix" a second time, expected each key once"#]],
    );
    refused(
        &(bootstrap(ROUTER, "") + "  clusters: [{name: c}, {name: c}]"),
        expect![[
            r#"envoy.yaml:14:25: static_resources.clusters[1]: found a second cluster "c", expected each cluster once"#
        ]],
    );
    let hosts = bootstrap(ROUTER, "").replace(
        "virtual_hosts: []",
        "virtual_hosts: [{name: v, domains: [a.com]}, {name: w, domains: [A.com]}]",
    );
    refused(
        &hosts,
        expect![[
            r#"envoy.yaml:11:25: static_resources.listeners[0].filter_chains[0].filters[0].typed_config.route_config: found domain "A.com" is claimed by virtual hosts "v" and "w", expected each domain in one virtual host, and at least one in each"#
        ]],
    );
}

#[test]
fn routes_that_lead_nowhere_are_refused() {
    let with = |route: &str| {
        let hosts = format!("virtual_hosts: [{{name: v, domains: ['*'], routes: [{route}]}}]");
        bootstrap(ROUTER, "").replace("virtual_hosts: []", &hosts)
    };
    for (route, part) in [
        ("{match: {prefix: /}, route: {cluster: nosuch}}", "to the unknown cluster \"nosuch\""),
        ("{match: {prefix: /}}", "found no action, expected route, direct_response or redirect"),
        ("{match: {}, direct_response: {status: 200}}", "found no path to match"),
        ("{match: {prefix: /, path: /}, direct_response: {status: 200}}", "found both prefix and path"),
        ("{match: {prefix: /}, direct_response: {status: 199}}", "expected a status from 200 to 599"),
        ("{match: {safe_regex: {regex: '('}}, direct_response: {status: 200}}", "unclosed group"),
        ("{match: {safe_regex: {regex: 'a)(b'}}, direct_response: {status: 200}}", "unopened group"),
        ("{match: {path_separated_prefix: /a/}, direct_response: {status: 200}}", "found the text \"/a/\""),
        ("{match: {prefix: /}, route: {weighted_clusters: {clusters: []}}}", "found weights that sum to 0"),
    ] {
        let result = parse(&with(route));
        assert!(result.as_ref().is_err_and(|errors| errors.contains(part)), "{route}: {result:?}");
    }
}

#[test]
fn a_text_that_is_no_configuration_is_refused_where_it_stops_being_one() {
    refused("", expect!["envoy.yaml:1:1: found an empty file, expected an Envoy bootstrap configuration"]);
    refused(
        "# nothing\n",
        expect!["envoy.yaml:1:1: found an empty file, expected an Envoy bootstrap configuration"],
    );
    refused("[1]", expect!["envoy.yaml:1:1: found a list of 1, expected an object"]);
    refused(
        "{}",
        expect!["envoy.yaml:1:1: found no static_resources, expected static_resources with listeners"],
    );
    refused(
        "static_resources: {}",
        expect![
            "envoy.yaml:1:19: static_resources: found no listener, expected a listener with an HTTP connection manager, or with Wasm filters and a tcp_proxy"
        ],
    );
    refused("a: {b: 1", expect!["envoy.yaml:1:4: found unclosed bracket '{', expected YAML"]);
    refused(
        "a: 1\n---\nb: 1\n",
        expect![
            "envoy.yaml:2:1: found a second document, expected one document in a file (Envoy would use the first and ignore this one)"
        ],
    );
    refused(
        "<<: {a: 1}",
        expect!["envoy.yaml:1:1: found a YAML merge key (<<), expected a field name: Envoy does not merge"],
    );
    refused(
        "a: &x [*x]",
        expect![
            "envoy.yaml:1:8: found an alias to a value that contains it, expected an alias to a finished value"
        ],
    );
    refused("[a]: 1", expect!["envoy.yaml:1:1: found a list or map as a key, expected a field name"]);
    refused(
        &("[".repeat(101) + &"]".repeat(101)),
        expect![
            "envoy.yaml:1:101: found nesting deeper than 100 levels, expected a configuration that Envoy can load"
        ],
    );
}

#[test]
fn aliases_cannot_grow_without_bound() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{items}]\n");
    }
    let errors = parse(&text).err().unwrap_or_default();
    assert!(errors.contains("found more than 2000000 values"), "{errors}");
}

#[test]
fn listeners_without_http_are_left_out_but_one_must_remain() {
    let tcp = r#"
  - name: tcp
    address: {socket_address: {address: 127.0.0.1, port_value: 1}}
    filter_chains: [{filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy}}]}]"#;
    let both = loaded(&bootstrap(ROUTER, "").replacen("listeners:", &format!("listeners:{tcp}"), 1));
    assert_eq!(both.spec.listeners.len(), 1);
    assert!(
        listed(&both)
            .contains("static_resources.listeners[0]: neither an HTTP connection manager nor Wasm filters and a tcp_proxy: the listener is left out")
    );
    let alone = parse(&format!("static_resources:\n  listeners:{tcp}"));
    assert!(alone.is_err_and(|errors| errors.contains("found 1 listeners, none usable")));
}

#[test]
fn json_is_read_as_json() {
    let json = r#"{"staticResources": {"listeners": [{"filterChains": [{"filters": [{"name": "h", "typedConfig": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "statPrefix": "x", "routeConfig": {}, "httpFilters": [{"name": "r", "typedConfig":
        {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}]},
        "node": {"metadata": {"k": 1.5}}}"#;
    let parse = |text: &str| from_text(text, Path::new("gw.json"), &LoadOptions::default());
    let spec = parse(json).unwrap_or_else(|errors| panic!("{errors}")).spec;
    assert_eq!((spec.name.as_str(), &spec.node.metadata["k"]), ("gw", &serde_json::json!(1.5)));
    let errors = parse(&json.replace("1.5", "yes")).err().map(|errors| errors.to_string());
    assert_eq!(errors.as_deref(), Some("gw.json:5:36: found \"yes\" without quotes, expected a JSON value"));
}

#[test]
fn control_planes_wrappers_are_looked_through() {
    let filter = r#"{name: f, typed_config: {"@type": type.googleapis.com/udpa.type.v1.TypedStruct,
        type_url: type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm,
        value: {config: {vm_config: {code: {local: {filename: x}}}}}}}"#;
    assert_eq!(loaded(&bootstrap(&format!("{filter}, {ROUTER}"), "")).spec.plugins().count(), 1);
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        let errors = load(&path).err().map(|errors| errors.to_string()).unwrap_or_default();
        errors.replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(
        said("a.yaml", b"a: \0"),
        "a.yaml: found a zero byte at offset 3, expected text (YAML or JSON)"
    );
    assert_eq!(
        said("b.yaml", b"a: \xff"),
        "b.yaml: found a byte that is not UTF-8 at offset 3, expected text (YAML or JSON)"
    );
    assert_eq!(said("c.pb", b""), "c.pb: found a .pb file, expected YAML or JSON");
    assert_eq!(
        said("d.yaml", &vec![b'#'; (32 << 20) + 1]),
        "d.yaml: found more than 32 MiB, expected a smaller file"
    );
    let missing =
        load(&folder.path().join("none.yaml")).err().map(|errors| errors.to_string()).unwrap_or_default();
    assert!(
        missing.ends_with(
            "none.yaml: found No such file or directory (os error 2), expected a configuration file"
        ),
        "{missing}"
    );
}

#[test]
fn a_folder_holds_one_file_a_proxy() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    let options = LoadOptions::default();
    let errors =
        || load_dir(folder.path(), &options).err().map(|errors| errors.to_string()).unwrap_or_default();
    assert!(errors().contains("found no configuration, expected files named <proxy>.yaml"));
    write("b.yaml", &bootstrap(ROUTER, ""));
    write("a.yml", &bootstrap(ROUTER, ""));
    write("README.md", "not a configuration");
    let names: Vec<_> =
        load_dir(folder.path(), &options).expect("good").into_iter().map(|loaded| loaded.spec.name).collect();
    assert_eq!(names, ["a", "b"]);
    write("c.yaml", "[]");
    write("d.yaml", "{}");
    assert_eq!(errors().lines().count(), 2, "{}", errors());
    write("a.json", "{}");
    assert!(errors().contains("found a second file for proxy a, besides "), "{}", errors());
}

fn with_configuration(json: &str) -> String {
    let fields = format!(
        "name: plugin-name, vm_config: {{code: {{local: {{filename: x}}}}}}, \
         configuration: {{\"@type\": type.googleapis.com/google.protobuf.StringValue, value: '{json}'}}"
    );
    bootstrap(&format!("{}, {ROUTER}", wasm("envoy.filters.http.wasm", &fields)), "")
}

#[test]
fn a_setting_changes_one_value_and_keeps_the_rest_in_order() {
    let text = with_configuration(r#"{"z": 1, "defaults": {"timeout": "15s", "a/b": [1, 2]}}"#);
    for filter in ["plugin-name", "envoy.filters.http.wasm"] {
        let mut spec = loaded(&text).spec;
        for setting in [r#"./defaults/timeout="2s""#, "./defaults/a~1b/1=[3,4]"] {
            let setting: Setting = format!("{filter}{setting}").parse().expect("a setting");
            assert_eq!(setting.apply(&mut spec), Ok(1));
        }
        let bytes = spec.plugins().next().map(|plugin| plugin.configuration.bytes());
        assert_eq!(bytes.as_deref(), Some(&br#"{"z":1,"defaults":{"timeout":"2s","a/b":[1,[3,4]]}}"#[..]));
    }
}

#[test]
fn a_setting_that_would_change_nothing_is_an_error() {
    let mut spec = loaded(&with_configuration(r#"{"defaults": {"timeout": "15s", "tick": "1s"}}"#)).spec;
    let mut said = |text: &str| match text.parse::<Setting>().and_then(|setting| setting.apply(&mut spec)) {
        Ok(count) => format!("{count} changed"),
        Err(error) => error.to_string(),
    };
    expect![[r#"
        nosuch./defaults/timeout="2s": no filter or plugin has that name; there are: envoy.filters.http.wasm"#]]
    .assert_eq(&said(r#"nosuch./defaults/timeout="2s""#));
    expect![[r#"plugin-name./defaults/time/x=1: envoy.yaml:12:154: the configuration of envoy.filters.http.wasm has nothing at "/defaults/time/x"; "/defaults" has timeout, tick"#]]
    .assert_eq(&said("plugin-name./defaults/time/x=1"));
    expect![[r#"
        the value "2s" of plugin-name./defaults/timeout is not JSON (trailing characters at line 1 column 2); text is written in quotes: "2s""#]]
    .assert_eq(&said("plugin-name./defaults/timeout=2s"));
    expect![[r#""plugin-name" is not of the form FILTER./json/pointer=VALUE"#]]
        .assert_eq(&said("plugin-name"));
    let mut spec = loaded(&with_configuration("not json")).spec;
    let setting: Setting = "plugin-name./a=1".parse().expect("a setting");
    let error = setting.apply(&mut spec).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("the configuration of envoy.filters.http.wasm is not JSON text"), "{error}");
}

#[test]
fn a_wasm_access_logger_is_a_plugin_and_its_condition_is_told_as_missing() {
    let logger = r#"access_log: [{name: l, filter: {not_health_check_filter: {}}, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog, config: {name: audit, vm_config: {runtime: envoy.wasm.runtime.v8, code: {local: {inline_bytes: AGFzbQEAAAA=}}}}}}]"#;
    let loaded = loaded(&bootstrap(ROUTER, logger));
    let names: Vec<&str> = loaded.spec.plugins().map(|plugin| &plugin.name[..]).collect();
    assert_eq!(names, ["audit"]);
    let listed = listed(&loaded);
    assert!(listed.contains("access_log[0].filter: the condition is taken to hold"), "{listed}");
    assert!(!listed.contains("access logs and traces are not written"), "{listed}");
}

#[test]
fn a_wasm_access_logger_beside_one_that_writes_is_a_plugin_too() {
    let logger = r#"access_log: [{name: file}, {name: l, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.wasm.v3.WasmAccessLog}}]"#;
    let error = from_text(&bootstrap(ROUTER, logger), Path::new("envoy.yaml"), &LoadOptions::default());
    let error = error.expect_err("the logger has no code").to_string();
    assert!(error.contains("access_log[1].typed_config"), "{error}");
}
