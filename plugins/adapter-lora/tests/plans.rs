//! Plans against the adapters that PEFT wrote (`tests/golden/adapters`), and what each option changes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use codex_peft::{Base, Folder, Tensor, folder, load, parameters};
use codex_plugin_adapter_lora::{Dora, Ia3, Lora, RsLora, Vera};
use codex_plugin_api::{Adapter, AdapterPlan, FromConfig, Init, NoHost, Operation, Site};
use serde_json::{Value, json};

fn site(name: String, inputs: u64, outputs: u64, role: &str) -> Site {
    Site {
        layer: name.split('.').find_map(|part| part.parse().ok()),
        transposed: name.starts_with("transformer.h"),
        name,
        inputs,
        outputs,
        role: role.into(),
    }
}

fn block(path: &str, modules: &[(&str, u64, u64, &str)]) -> Vec<Site> {
    let mut sites = Vec::new();
    for layer in 0..2 {
        for (module, inputs, outputs, role) in modules {
            sites.push(site(
                format!("{path}.{layer}.{module}"),
                *inputs,
                *outputs,
                role,
            ));
        }
    }
    sites
}

fn llama() -> Vec<Site> {
    let mut sites = block(
        "model.layers",
        &[
            ("self_attn.q_proj", 32, 32, "query"),
            ("self_attn.k_proj", 32, 16, "key"),
            ("self_attn.v_proj", 32, 16, "value"),
            ("self_attn.o_proj", 32, 32, "output"),
            ("mlp.gate_proj", 32, 88, "gate"),
            ("mlp.up_proj", 32, 88, "up"),
            ("mlp.down_proj", 88, 32, "down"),
        ],
    );
    sites.push(site("lm_head".into(), 32, 211, "head"));
    sites
}

fn gpt2() -> Vec<Site> {
    block(
        "transformer.h",
        &[
            ("attn.c_attn", 32, 96, "query-key-value"),
            ("attn.c_proj", 32, 32, "output"),
            ("mlp.c_fc", 32, 128, "up"),
            ("mlp.c_proj", 128, 32, "down"),
        ],
    )
}

fn bert() -> Vec<Site> {
    let mut sites = block(
        "bert.encoder.layer",
        &[
            ("attention.self.query", 32, 32, "query"),
            ("attention.self.key", 32, 32, "key"),
            ("attention.self.value", 32, 32, "value"),
            ("attention.output.dense", 32, 32, "output"),
            ("intermediate.dense", 32, 64, "up"),
            ("output.dense", 64, 32, "down"),
        ],
    );
    sites.push(site(
        "cls.predictions.transform.dense".into(),
        32,
        32,
        "head",
    ));
    sites
}

fn classifier() -> Vec<Site> {
    let mut sites = bert();
    sites.pop();
    sites.push(site("bert.pooler.dense".into(), 32, 32, "head"));
    sites.push(site("classifier".into(), 32, 3, "head"));
    sites
}

fn create<T: FromConfig>(config: Value) -> T {
    T::from_config(serde_json::from_value(config).unwrap(), NoHost::shared()).unwrap()
}

fn plan<T: FromConfig + Adapter>(config: Value, sites: &[Site]) -> AdapterPlan {
    create::<T>(config).plan(sites).unwrap()
}

/// The folder that a model would save before the first step, its tensors all zero.
fn saved(plan: &AdapterPlan, sites: &[Site]) -> Folder {
    let tensors = parameters(plan, sites)
        .unwrap()
        .into_iter()
        .map(|parameter| {
            let zeros = vec![0.0; parameter.len()];
            (parameter.key.clone(), Tensor::new(parameter.shape, zeros))
        })
        .collect();
    folder(plan, sites, tensors, &Base::default()).unwrap()
}

/// A configuration, its lists of names in no order: PEFT writes them as a set gives them.
fn unordered(config: &Value) -> BTreeMap<String, Value> {
    let keys = config.as_object().unwrap().iter();
    keys.filter(|(key, _)| !matches!(key.as_str(), "base_model_name_or_path" | "auto_mapping"))
        .map(|(key, value)| match value.as_array() {
            Some(list) => {
                let names: BTreeSet<&str> = list.iter().filter_map(Value::as_str).collect();
                (key.clone(), json!(names))
            }
            None => (key.clone(), value.clone()),
        })
        .collect()
}

fn check_golden<T: FromConfig + Adapter>(name: &str, config: Value, sites: &[Site]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/adapters")
        .join(name)
        .join("adapter");
    let theirs = Folder::read(&path).unwrap();
    let plan = plan::<T>(config, sites);
    let ours = saved(&plan, sites);
    assert_eq!(unordered(&ours.config), unordered(&theirs.config), "{name}");
    let shapes = |folder: &Folder| -> Vec<_> {
        folder
            .tensors
            .iter()
            .map(|(key, tensor)| (key.clone(), tensor.shape.clone()))
            .collect()
    };
    assert_eq!(shapes(&ours), shapes(&theirs), "{name}");
    assert!(
        ours.metadata.is_empty(),
        "{name}: PEFT's configuration does not say it all"
    );
    assert_eq!(
        load(&ours, sites).unwrap().plan.operations.len(),
        plan.operations.len()
    );
}

#[test]
fn plans_are_those_of_peft() {
    check_golden::<Lora>(
        "lora-gpt2",
        json!({"rank": 4, "alpha": 8, "targets": ["c_attn", "c_proj"]}),
        &gpt2(),
    );
    let of = |targets: Value| json!({"rank": 4, "alpha": 16, "targets": targets});
    check_golden::<Lora>(
        "lora-llama",
        of(json!(["q_proj", "v_proj", "down_proj"])),
        &llama(),
    );
    check_golden::<RsLora>("rslora-llama", of(json!(["query", "key"])), &llama());
    check_golden::<Dora>(
        "dora-llama",
        of(json!(["model.layers.*.mlp.up_proj", "q_proj"])),
        &llama(),
    );
    check_golden::<Ia3>("ia3-llama", json!({}), &llama());
    check_golden::<Lora>("lora-bert", json!({"rank": 4, "alpha": 8}), &bert());
}

fn sites_of(plan: &AdapterPlan) -> Vec<&str> {
    plan.operations.iter().map(|at| at.site.as_str()).collect()
}

#[test]
fn usual_targets_are_those_of_peft() {
    let count = |plan: AdapterPlan| plan.operations.len();
    assert_eq!(count(plan::<Lora>(json!({}), &gpt2())), 2);
    assert_eq!(count(plan::<Lora>(json!({}), &llama())), 4);
    assert_eq!(count(plan::<Lora>(json!({}), &bert())), 4);
    assert_eq!(count(plan::<Dora>(json!({}), &llama())), 8);
    let config = |plan: AdapterPlan, key: &str| plan.saved_config[key].clone();
    assert_eq!(
        config(plan::<Lora>(json!({}), &llama()), "target_modules"),
        json!(["q_proj", "v_proj"])
    );
    assert_eq!(
        config(plan::<Ia3>(json!({}), &gpt2()), "target_modules"),
        json!(["c_attn", "mlp.c_proj"])
    );
    assert_eq!(
        config(plan::<Ia3>(json!({}), &gpt2()), "feedforward_modules"),
        json!(["mlp.c_proj"])
    );
    let bert = plan::<Ia3>(json!({}), &bert());
    assert_eq!(
        bert.saved_config["target_modules"],
        json!(["key", "value", "output.dense"])
    );
    assert_eq!(
        bert.saved_config["feedforward_modules"],
        json!(["output.dense"])
    );
    assert_eq!(bert.operations.len(), 8);
}

#[test]
fn ranks_and_alphas_by_pattern_are_read_back() {
    for (options, ranks, scales) in [
        (
            json!({"rank": 4, "rank_pattern": {"v_proj": 2}}),
            [4, 2, 4, 2],
            [1.0, 1.0, 1.0, 1.0],
        ),
        (
            json!({"rank": 4, "alpha": 8, "rank_pattern": {"v_proj": 2}}),
            [4, 2, 4, 2],
            [2.0, 4.0, 2.0, 4.0],
        ),
        (
            json!({"rank": 4, "alpha": 8, "alpha_pattern": {"*.1.*": 1.5}, "rank_pattern": {"value": 3}}),
            [4, 3, 4, 3],
            [2.0, 8.0 / 3.0, 0.375, 0.5],
        ),
    ] {
        let sites = llama();
        let made = plan::<Lora>(options.clone(), &sites);
        let found = |plan: &AdapterPlan| -> (Vec<u32>, Vec<f32>) {
            let pairs = plan.operations.iter().map(|at| match at.operation {
                Operation::LowRank { rank, scale, .. } => (rank, scale),
                _ => panic!("{at:?}"),
            });
            pairs.unzip()
        };
        assert_eq!(found(&made), (ranks.to_vec(), scales.to_vec()), "{options}");
        let folder = saved(&made, &sites);
        assert!(folder.metadata.is_empty(), "{options}: {:#}", folder.config);
        assert_eq!(
            found(&load(&folder, &sites).unwrap().plan),
            found(&made),
            "{options}"
        );
    }
    let error = |options: Value| {
        create::<Lora>(options)
            .plan(&llama())
            .unwrap_err()
            .to_string()
    };
    assert!(
        error(json!({"rank_pattern": {"v_prj": 2}}))
            .contains("rank_pattern: the model has no site \"v_prj\"")
    );
    assert!(error(json!({"alpha_pattern": {"k_proj": 2}})).contains("fits none of the sites"));
    assert!(error(json!({"rank_pattern": {"v_proj": 0}})).contains("rank of 0"));
}

#[test]
fn starts_are_those_of_the_option() {
    let zero = Init::Constant { value: 0.0 };
    for (init, a, b, saved) in [
        ("default", Init::KaimingUniform, zero.clone(), json!(true)),
        (
            "gaussian",
            Init::Normal { std: 0.25 },
            zero.clone(),
            json!("gaussian"),
        ),
        (
            "pissa",
            Init::PrincipalSingular,
            Init::PrincipalSingular,
            json!("pissa"),
        ),
        (
            "zero-b",
            Init::Normal {
                std: 1.0 / 32.0_f32.sqrt(),
            },
            zero.clone(),
            json!(true),
        ),
    ] {
        let plan = plan::<Lora>(json!({"rank": 4, "init": init}), &llama());
        assert_eq!(plan.saved_config["init_lora_weights"], saved);
        for at in plan.operations {
            assert!(
                matches!(at.operation, Operation::LowRank { a: x, b: y, .. } if x == a && y == b),
                "{init}"
            );
        }
    }
    for at in plan::<Dora>(json!({}), &llama()).operations {
        if let Operation::Magnitude { start, .. } = at.operation {
            assert_eq!(start, Init::WeightNorm);
        }
    }
}

#[test]
fn biases_and_modules_train_whole() {
    let plan_of = |options: Value, sites: &[Site]| plan::<Lora>(options, sites);
    let plan = plan_of(json!({"bias": "all"}), &gpt2());
    assert_eq!(
        (plan.modules_to_save, plan.saved_config["bias"].clone()),
        (vec!["*.bias".to_owned()], json!("all"))
    );
    let plan = plan_of(json!({"bias": "lora_only", "layers": [1]}), &gpt2());
    assert_eq!(plan.modules_to_save, ["transformer.h.1.attn.c_attn.bias"]);
    assert_eq!(plan.saved_config["modules_to_save"], Value::Null);
    assert_eq!(plan.saved_config["bias"], "lora_only");
    assert_eq!(
        self::plan::<Vera>(json!({"bias": "lora_only"}), &gpt2()).saved_config["bias"],
        "vera_only"
    );

    // The head of a classifier trains whole, whatever the targets say.
    let plan = plan_of(json!({"targets": "all-linear"}), &classifier());
    assert_eq!(plan.modules_to_save, ["classifier"]);
    assert_eq!(plan.saved_config["modules_to_save"], json!(["classifier"]));
    assert_eq!(plan.saved_config["task_type"], "SEQ_CLS");
    assert!(
        !sites_of(&plan).contains(&"classifier") && sites_of(&plan).contains(&"bert.pooler.dense")
    );
    let plan = plan_of(json!({"modules_to_save": []}), &classifier());
    assert_eq!(
        (
            plan.modules_to_save.len(),
            plan.saved_config["task_type"].clone()
        ),
        (0, Value::Null)
    );
    assert_eq!(
        plan_of(json!({}), &llama()).saved_config["task_type"],
        "CAUSAL_LM"
    );
    assert_eq!(
        plan_of(json!({}), &bert()).saved_config["task_type"],
        Value::Null
    );
}

#[test]
fn vera_shares_one_pair() {
    let sites = llama();
    let plan = plan::<Vera>(
        json!({"rank": 6, "targets": ["q_proj", "down_proj"], "d_initial": 0.2}),
        &sites,
    );
    let found = parameters(&plan, &sites).unwrap();
    let shape = |key: &str| {
        found
            .iter()
            .find(|one| one.key == key)
            .map(|one| (one.shape.clone(), one.trains))
    };
    assert_eq!(shape(codex_peft::SHARED_A), Some((vec![6, 88], false)));
    assert_eq!(shape(codex_peft::SHARED_B), Some((vec![32, 6], false)));
    assert_eq!(found.iter().filter(|one| one.trains).count(), 8);
    let Operation::LowRank {
        a: Init::Uniform { bound },
        ..
    } = plan.operations[0].operation
    else {
        panic!("{:?}", plan.operations[0]);
    };
    assert!((bound - (6.0_f32 / 88.0).sqrt()).abs() < 1e-7);
    let folder = saved(&plan, &sites);
    assert!(folder.metadata.is_empty(), "{:#}", folder.config);
    assert_eq!(folder.config["d_initial"], json!(0.2));
    assert_eq!(load(&folder, &sites).unwrap().plan.operations.len(), 4);
}

#[test]
fn ia3_scales_inputs_where_it_is_told_to() {
    let sites = llama();
    let inputs = |options: Value| -> Vec<String> {
        let plan = plan::<Ia3>(options.clone(), &sites);
        let folder = saved(&plan, &sites);
        assert!(folder.metadata.is_empty(), "{options}: {:#}", folder.config);
        let scaled = plan
            .operations
            .iter()
            .filter(|at| matches!(at.operation, Operation::ScaleInput { .. }));
        scaled.map(|at| at.site.clone()).collect()
    };
    assert_eq!(
        inputs(json!({"layers": [1]})),
        ["model.layers.1.mlp.down_proj"]
    );
    assert_eq!(inputs(json!({"feedforward": []})), [""; 0]);
    assert_eq!(
        inputs(json!({"targets": ["k_proj", "up_proj"], "feedforward": "model.layers.0.*"})),
        [
            "model.layers.0.self_attn.k_proj",
            "model.layers.0.mlp.up_proj"
        ]
    );
    let error = create::<Ia3>(json!({"feedforward": ["up_proj"]}))
        .plan(&sites)
        .unwrap_err();
    assert!(error.to_string().contains("feedforward"), "{error}");
}

#[test]
fn wrong_options_are_refused() {
    for options in [
        json!({"rnak": 4}),
        json!({"rank": -1}),
        json!({"bias": "some"}),
        json!({"init": "zero"}),
    ] {
        let parsed = serde_json::from_value::<<Lora as FromConfig>::Config>(options.clone());
        assert!(parsed.is_err(), "{options}");
    }
}
