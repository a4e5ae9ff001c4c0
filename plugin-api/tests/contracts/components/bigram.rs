//! A model: a table of logits for each pair of ids, trained by gradient descent with momentum. Small, exact, complete.

use std::collections::BTreeMap;

use codex_plugin_api::{
    AdapterPlan, Context, DeviceKind, Error, GradientBuffer, GradientSummary, IGNORE_LABEL, Ids,
    Loss, Model, ModelInfo, OptimizerStep, Parameter, Result, ScoreRequest, Scores, Site,
    TokenBatch, TrainingPass, TrainingSettings,
};

use super::{Fault, fresh};

pub(crate) const VOCABULARY: usize = 11;
const LONGEST: usize = 16;

pub(crate) struct Bigram {
    pub(crate) fault: Fault,
    /// `VOCABULARY · VOCABULARY` logits: row, the id before; column, the id.
    table: Vec<f32>,
    gradient: Vec<f32>,
    momentum: Vec<f32>,
    received: bool,
    training: bool,
    sessions: BTreeMap<u64, Vec<u32>>,
    adapters: Vec<String>,
}

impl Bigram {
    pub(crate) fn new(fault: Fault, folder: Option<&str>) -> Result<Self> {
        let size = VOCABULARY * VOCABULARY;
        let mut table: Vec<f32> = (0..size)
            .map(|at| ((at * 37 % 101) as f32) / 101.0)
            .collect();
        if let Some(folder) = folder {
            table = read(&format!("{folder}/model.bin"), size)?;
        }
        Ok(Self {
            fault,
            table,
            gradient: vec![0.0; size],
            momentum: vec![0.0; size],
            received: false,
            training: false,
            sessions: BTreeMap::new(),
            adapters: Vec::new(),
        })
    }

    fn row(&self, before: u32) -> &[f32] {
        let at = before as usize * VOCABULARY;
        &self.table[at..at + VOCABULARY]
    }

    fn probabilities(&self, before: u32) -> Vec<f64> {
        let row = self.row(before);
        let sum: f64 = row.iter().map(|&logit| f64::from(logit).exp()).sum();
        row.iter()
            .map(|&logit| f64::from(logit).exp() / sum)
            .collect()
    }

    /// Pairs of ids that count, a list for each sequence.
    fn pairs(&self, batch: &TokenBatch<'_>) -> Result<Vec<Vec<(u32, u32)>>> {
        let sequences = batch.sequences;
        for ids in sequences.iter() {
            if let Some(id) = ids.iter().find(|&&id| id as usize >= VOCABULARY)
                && !self.fault.is("ids")
            {
                return Err(Error::data(format!("id {id} is beyond {VOCABULARY}")));
            }
            if ids.len() > LONGEST {
                return Err(Error::data(format!(
                    "{} ids, more than {LONGEST}",
                    ids.len()
                )));
            }
        }
        let mut pairs = Vec::new();
        for (index, ids) in sequences.iter().enumerate() {
            let start = sequences.sequence_offsets()[index] as usize;
            let counts = |at: usize| {
                self.fault.is("labels")
                    || batch
                        .labels
                        .is_none_or(|labels| labels[start + at + 1] != IGNORE_LABEL)
            };
            let wrap = |id: u32| id % VOCABULARY as u32;
            pairs.push(
                ids.windows(2)
                    .enumerate()
                    .filter(|(at, _)| counts(*at))
                    .map(|(_, pair)| (wrap(pair[0]), wrap(pair[1])))
                    .collect(),
            );
        }
        Ok(pairs)
    }

    fn needs_training(&self) -> Result<()> {
        if self.training {
            return Ok(());
        }
        Err(Error::failed("training has not begun"))
    }
}

fn read(path: &str, count: usize) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path).or_error(|| Error::data(format!("cannot read {path}")))?;
    let numbers = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|four| f32::from_le_bytes(*four));
    let numbers: Vec<f32> = numbers.collect();
    if numbers.len() != count {
        return Err(Error::data(format!(
            "{path} holds {} numbers, not {count}",
            numbers.len()
        )));
    }
    Ok(numbers)
}

fn write(path: &str, numbers: &[f32]) -> Result<()> {
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    std::fs::write(path, bytes).or_error(|| Error::failed(format!("cannot write {path}")))
}

impl Model for Bigram {
    fn info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo {
            architecture: if self.fault.is("info") {
                format!("{}", fresh())
            } else {
                "bigram".into()
            },
            parameters: self.table.len() as u64,
            vocab_size: VOCABULARY as u32,
            max_sequence_length: LONGEST as u32,
            hidden_size: VOCABULARY as u32,
            tasks: vec!["causal-lm".into(), "embedding".into()],
            device: "cpu".into(),
            precision: "f32".into(),
        })
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let one = Parameter {
            name: "table".into(),
            shape: vec![VOCABULARY as u64; 2],
            dtype: "f32".into(),
            trainable: true,
        };
        let count = if self.fault.is("parameters") { 2 } else { 1 };
        Ok(vec![one; count])
    }

    fn score(&mut self, batch: &TokenBatch<'_>, _request: ScoreRequest) -> Result<Scores> {
        let mut scores = Scores {
            target_offsets: vec![0],
            ..Scores::default()
        };
        for (index, pairs) in self.pairs(batch)?.into_iter().enumerate() {
            for (before, id) in pairs {
                let probabilities = self.probabilities(before);
                let mut probability = probabilities[id as usize];
                if self.fault.is("neighbours") && index > 0 {
                    probability /= 2.0;
                }
                scores.log_probabilities.push(probability.ln() as f32);
                let greater = probabilities.iter().filter(|&&other| other > probability);
                scores.ranks.push(greater.count() as u32);
                scores.loss.sum -= probability.ln();
                scores.loss.targets += 1;
            }
            scores
                .target_offsets
                .push(scores.log_probabilities.len() as u64);
        }
        if self.fault.is("loss") {
            scores.loss.sum *= 2.0;
        }
        if self.fault.is("free sequences") {
            scores.loss.sum += 1e-9;
        }
        if self.fault.is("scoring") {
            self.table[0] += 0.5;
            self.table.iter_mut().for_each(|logit| *logit *= 1.01);
        }
        Ok(scores)
    }

    fn save(&self, folder: &str) -> Result<()> {
        let mut table = self.table.clone();
        if self.fault.is("saving") {
            table.reverse();
        }
        write(&format!("{folder}/model.bin"), &table)
    }

    fn begin_training(&mut self, _settings: &TrainingSettings) -> Result<()> {
        self.training = true;
        Ok(())
    }

    fn forward_backward(&mut self, batch: &TokenBatch<'_>, pass: &TrainingPass) -> Result<Loss> {
        self.needs_training()?;
        let mut loss = Loss::default();
        let pairs = self.pairs(batch)?;
        let count: usize = pairs.iter().map(Vec::len).sum();
        let mut scale = pass.loss_scale;
        if self.fault.is("accumulation") {
            scale = 1.0 / count as f64;
        }
        if self.fault.is("learning") {
            scale = -scale;
        }
        for (before, id) in pairs.into_iter().flatten() {
            let probabilities = self.probabilities(before);
            loss.sum -= probabilities[id as usize].ln();
            loss.targets += 1;
            let at = before as usize * VOCABULARY;
            for (other, probability) in probabilities.iter().enumerate() {
                let due = if other == id as usize { 1.0 } else { 0.0 };
                self.gradient[at + other] += (scale * (probability - due)) as f32;
            }
        }
        self.received = !self.fault.is("gradients");
        if self.fault.is("training loss") {
            loss.sum /= 2.0;
        }
        Ok(loss)
    }

    fn gradients(&mut self) -> Result<Vec<GradientSummary>> {
        self.needs_training()?;
        let sum: f64 = self.gradient.iter().map(|&g| f64::from(g).powi(2)).sum();
        Ok(vec![GradientSummary {
            name: "table".into(),
            norm: sum.sqrt(),
            received: self.received,
        }])
    }

    fn optimizer_step(&mut self, step: &OptimizerStep) -> Result<f64> {
        let norm = self.gradients()?[0].norm;
        for ((value, momentum), gradient) in self
            .table
            .iter_mut()
            .zip(&mut self.momentum)
            .zip(&mut self.gradient)
        {
            *momentum = 0.9 * *momentum + *gradient;
            *value -= 100.0 * step.learning_rate as f32 * *momentum;
            *gradient = 0.0;
        }
        self.received = false;
        Ok(norm)
    }

    fn lend_gradients(&mut self) -> Result<Vec<GradientBuffer>> {
        Ok(vec![GradientBuffer {
            address: self.gradient.as_ptr() as u64,
            length: self.gradient.len() as u64,
            dtype: "f32".into(),
            device: DeviceKind::Cpu,
            ordinal: 0,
        }])
    }

    fn export_state(&self, folder: &str) -> Result<()> {
        write(&format!("{folder}/model.bin"), &self.table)?;
        write(&format!("{folder}/momentum.bin"), &self.momentum)
    }

    fn import_state(&mut self, folder: &str) -> Result<()> {
        self.table = read(&format!("{folder}/model.bin"), self.table.len())?;
        if !self.fault.is("state") {
            self.momentum = read(&format!("{folder}/momentum.bin"), self.momentum.len())?;
        }
        Ok(())
    }

    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for (index, ids) in sequences.iter().enumerate() {
            let last = ids.last().ok_or_else(|| Error::data("an empty sequence"))?;
            let shift = if self.fault.is("embeddings") {
                index as f32
            } else {
                0.0
            };
            values.extend(self.row(*last).iter().map(|value| value + shift));
        }
        Ok(values)
    }

    fn open_session(&mut self) -> Result<u64> {
        let session = self.sessions.keys().last().map_or(1, |last| last + 1);
        self.sessions.insert(session, Vec::new());
        Ok(session)
    }

    fn extend_sessions(&mut self, sessions: &[u64], ids: Ids<'_>) -> Result<Vec<f32>> {
        let mut logits = Vec::new();
        for (&session, new) in sessions.iter().zip(ids.iter()) {
            let disturbed = self.fault.is("sessions apart") && sessions.len() > 1;
            let gone = self.fault.is("closed sessions");
            if gone {
                self.sessions.entry(session).or_default();
            }
            let read = self.sessions.get_mut(&session);
            let read = read.ok_or_else(|| Error::failed(format!("no session {session}")))?;
            read.extend(new);
            let last = *read.last().ok_or_else(|| Error::data("no ids"))?;
            let length = read.len() as f32;
            let shift = if self.fault.is("cut sessions") {
                length
            } else {
                0.0
            };
            let mut row = self.row(last).to_vec();
            row[0] += shift + if disturbed { 1.0 } else { 0.0 };
            if self.fault.is("sessions") {
                row.reverse();
            }
            logits.extend(row);
        }
        Ok(logits)
    }

    fn truncate_session(&mut self, session: u64, length: u64) -> Result<()> {
        let fault = self.fault.is("cut sessions");
        let read = self.sessions.get_mut(&session);
        let read = read.ok_or_else(|| Error::failed(format!("no session {session}")))?;
        if length as usize > read.len() {
            return Err(Error::failed(format!(
                "session {session} has only {} ids",
                read.len()
            )));
        }
        if !fault {
            read.truncate(length as usize);
        }
        Ok(())
    }

    fn close_session(&mut self, session: u64) -> Result<()> {
        let closed = self.sessions.remove(&session);
        closed
            .map(drop)
            .ok_or_else(|| Error::failed(format!("no session {session}")))
    }

    fn sites(&self) -> Result<Vec<Site>> {
        Ok(vec![Site {
            name: "table".into(),
            inputs: VOCABULARY as u64,
            outputs: VOCABULARY as u64,
            role: "head".into(),
            layer: None,
            transposed: true,
        }])
    }

    fn add_adapter(&mut self, name: &str, plan: &AdapterPlan) -> Result<()> {
        self.adapters.push(format!(
            "{name} with {} of {:?}",
            plan.operations.len(),
            plan.values
        ));
        Ok(())
    }

    fn load_adapter(&mut self, name: &str, folder: &str) -> Result<()> {
        self.adapters.push(format!("{name} from {folder}"));
        Ok(())
    }

    fn save_adapter(&self, name: &str, folder: &str) -> Result<()> {
        Err(Error::failed(format!(
            "{name} to {folder} after {:?}",
            self.adapters
        )))
    }

    fn activate_adapters(&mut self, names: &[String], weights: &[f32]) -> Result<()> {
        self.adapters.push(format!("{names:?} by {weights:?}"));
        Ok(())
    }

    fn merge_adapter(&mut self, name: &str, merged: bool) -> Result<f64> {
        self.adapters.push(format!("{name} merged: {merged}"));
        Ok(0.25)
    }
}
