//! Job `adapter`: what it takes to load an adapter and to merge it, each time into a model that was just read.

use std::time::Instant;

use codex_plugin_api::{Ids, Model};
use serde_json::{Value, json};

use super::{ADAPTER, Job, model};

pub(super) struct Adapter {
    request: Value,
    threads: usize,
    ids: Vec<u32>,
}

impl Adapter {
    pub(super) fn open(request: &Value, threads: usize) -> Self {
        Self {
            ids: serde_json::from_value(request["ids"].clone()).unwrap(),
            request: request.clone(),
            threads,
        }
    }

    fn logits(&self, model: &mut dyn Model) -> Vec<f32> {
        let offsets = [0, self.ids.len() as u64];
        let session = model.open_session().unwrap();
        let logits = model.extend_sessions(&[session], Ids::new(&self.ids, &offsets).unwrap());
        model.close_session(session).unwrap();
        logits.unwrap()
    }
}

impl Job for Adapter {
    fn describe(&self) -> Value {
        json!({})
    }

    fn run(&mut self) -> Value {
        let mut model = model(&self.request, self.threads);
        let begun = Instant::now();
        let folder = self.request["folder"].as_str().unwrap();
        model.load_adapter(ADAPTER, folder).unwrap();
        model
            .activate_adapters(&[ADAPTER.to_owned()], &[1.0])
            .unwrap();
        let load = begun.elapsed().as_secs_f64();
        let beside = self.logits(&mut *model);
        let begun = Instant::now();
        model.merge_adapter(ADAPTER, true).unwrap();
        let merge = begun.elapsed().as_secs_f64();
        let merged = self.logits(&mut *model);
        let changes = beside.iter().zip(&merged).map(|(a, b)| (a - b).abs());
        json!({"load": load, "merge": merge, "change": changes.fold(0.0, f32::max), "logits": beside[..8]})
    }
}
