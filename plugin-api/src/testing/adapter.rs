//! What every adapter promises.

use super::report::{Report, ensure};
use crate::abi::v1::check_plan;
use crate::{Adapter, AdapterPlan, Error, ErrorKind, Result, Site};

fn site(name: String, inputs: u64, outputs: u64, role: &str, layer: Option<u32>) -> Site {
    Site {
        name,
        inputs,
        outputs,
        role: role.to_owned(),
        layer,
        transposed: false,
    }
}

/// The sites of a small GPT-2.
fn gpt2() -> Vec<Site> {
    let mut sites = Vec::new();
    for layer in 0..2 {
        for (name, inputs, outputs, role) in [
            ("attn.c_attn", 32, 96, "query-key-value"),
            ("attn.c_proj", 32, 32, "output"),
            ("mlp.c_fc", 32, 128, "up"),
            ("mlp.c_proj", 128, 32, "down"),
        ] {
            let path = format!("transformer.h.{layer}.{name}");
            let mut site = site(path, inputs, outputs, role, Some(layer));
            site.transposed = true;
            sites.push(site);
        }
    }
    sites.push(site("lm_head".to_owned(), 32, 100, "head", None));
    sites
}

/// The sites of a small Llama.
fn llama() -> Vec<Site> {
    let mut sites = Vec::new();
    for layer in 0..2 {
        for (name, inputs, outputs, role) in [
            ("self_attn.q_proj", 32, 32, "query"),
            ("self_attn.k_proj", 32, 16, "key"),
            ("self_attn.v_proj", 32, 16, "value"),
            ("self_attn.o_proj", 32, 32, "output"),
            ("mlp.gate_proj", 32, 64, "gate"),
            ("mlp.up_proj", 32, 64, "up"),
            ("mlp.down_proj", 64, 32, "down"),
        ] {
            let path = format!("model.layers.{layer}.{name}");
            sites.push(site(path, inputs, outputs, role, Some(layer)));
        }
    }
    sites
}

/// A model that no adapter was written for.
fn alien() -> Vec<Site> {
    vec![
        site("zeta.first".to_owned(), 8, 8, "mixing", Some(0)),
        site("zeta.second".to_owned(), 8, 8, "mixing", Some(0)),
    ]
}

/// A plan, or the refusal that an adapter may give to sites that its configuration does not fit.
fn plan(adapter: &dyn Adapter, sites: &[Site]) -> Result<Option<AdapterPlan>> {
    match adapter.plan(sites) {
        Ok(plan) => {
            check_plan(&plan, sites)?;
            Ok(Some(plan))
        }
        Err(error) if error.kind() == ErrorKind::Config => {
            let said = format!("{error} {}", error.hint_text().unwrap_or_default());
            let named = sites.iter().any(|site| said.contains(&site.name));
            ensure(named || sites.is_empty(), || {
                format!("the error {said:?} does not list the sites that exist")
            })?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Checks what `create` creates.
pub fn adapter(create: &mut dyn FnMut() -> Result<Box<dyn Adapter>>) -> Report {
    let mut report = Report::default();
    report.check(
        "operations are on sites that exist, with values that are there",
        || {
            let adapter = create()?;
            let plans = [plan(&*adapter, &gpt2())?, plan(&*adapter, &llama())?];
            let fits = plans
                .iter()
                .flatten()
                .any(|plan| !plan.operations.is_empty());
            ensure(fits, || {
                "neither GPT-2's nor Llama's sites get an operation".to_owned()
            })
        },
    );
    report.check(
        "a model that it does not fit is refused with the sites that exist",
        || plan(&*create()?, &alien()).map(drop),
    );
    report.check("a model without sites is no panic", || {
        plan(&*create()?, &[]).map(drop)
    });
    report.check("equal sites give equal plans", || {
        for sites in [gpt2(), llama()] {
            let (first, second) = (plan(&*create()?, &sites)?, plan(&*create()?, &sites)?);
            ensure(first == second, || "two instances differ".to_owned())?;
        }
        Ok(())
    });
    report.check("the plan can be written down", || {
        let Some(made) = plan(&*create()?, &gpt2())? else {
            return Err(Error::unsupported("GPT-2"));
        };
        let json = serde_json::to_string(&made).map_err(|why| Error::failed(why.to_string()))?;
        let mut read: AdapterPlan = serde_json::from_str(&json)
            .map_err(|why| Error::failed(format!("it cannot be read again: {why}")))?;
        read.values.clone_from(&made.values);
        ensure(read == made, || format!("{json} is not what was planned"))
    });
    report
}
