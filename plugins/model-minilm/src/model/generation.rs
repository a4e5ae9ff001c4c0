//! Generation sessions, each with a cache of its own. Choosing the next id from logits is left to the host.

use std::collections::BTreeMap;

use candle_core::Tensor;
use codex_nn::Read;
use codex_nn::attention::cached::Cache;
use codex_plugin_api::{Error, Ids, Result};
use rayon::ThreadPool;

use super::batch::Packed;
use super::install;
use crate::config::NetworkConfig;
use crate::failure::numeric;
use crate::network::Network;

/// One session: a cache for each block.
#[derive(Debug)]
struct Session {
    caches: Vec<Cache>,
}

impl Session {
    fn tokens(&self) -> usize {
        self.caches.first().map_or(0, Cache::tokens)
    }

    fn truncate(&mut self, tokens: usize) {
        self.caches
            .iter_mut()
            .for_each(|cache| cache.truncate(tokens));
    }
}

/// All open sessions of a model.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    next: u64,
    open: BTreeMap<u64, Session>,
}

fn unknown(session: u64) -> Error {
    Error::config(format!("no generation session has the number {session}"))
        .hint("sessions are opened with open_session and end with close_session")
}

impl Sessions {
    pub(super) fn open(&mut self, config: &NetworkConfig) -> u64 {
        self.next += 1;
        let caches = vec![Cache::new(config.heads); config.layers];
        self.open.insert(self.next, Session { caches });
        self.next
    }

    pub(super) fn close(&mut self, session: u64) -> Result<()> {
        self.open
            .remove(&session)
            .map(drop)
            .ok_or_else(|| unknown(session))
    }

    pub(super) fn truncate(&mut self, session: u64, length: u64) -> Result<()> {
        let open = self
            .open
            .get_mut(&session)
            .ok_or_else(|| unknown(session))?;
        let tokens = open.tokens();
        if length > tokens as u64 {
            return Err(Error::config(format!(
                "generation session {session} holds {tokens} ids and cannot keep {length}"
            )));
        }
        open.truncate(length as usize);
        Ok(())
    }

    /// Reads the ids of each session after what it has read, all in one pass; gives the logits for each one's next.
    pub(super) fn extend(
        &mut self,
        network: &Network,
        pool: &ThreadPool,
        sessions: &[u64],
        ids: Ids<'_>,
    ) -> Result<Vec<f32>> {
        if sessions.len() != ids.len() {
            return Err(Error::config(format!(
                "{} sessions cannot read {} sequences of ids",
                sessions.len(),
                ids.len()
            )));
        }
        if let Some(index) = ids.iter().position(<[u32]>::is_empty) {
            return Err(Error::config(format!(
                "generation session {} was given no id",
                sessions[index]
            )));
        }
        let mut taken = Vec::with_capacity(sessions.len());
        let mut refused = None;
        for &number in sessions {
            let Some(session) = self.open.remove(&number) else {
                refused = Some(unknown(number));
                break;
            };
            taken.push((number, session));
        }
        let earlier: Vec<usize> = taken.iter().map(|(_, session)| session.tokens()).collect();
        let result = match refused {
            Some(error) => Err(error),
            None => install(pool, ids.ids().len(), || {
                logits(network, &mut taken, ids, &earlier)
            }),
        };
        for ((number, mut session), tokens) in taken.into_iter().zip(earlier) {
            if result.is_err() {
                session.truncate(tokens);
            }
            self.open.insert(number, session);
        }
        result
    }
}

fn logits(
    network: &Network,
    sessions: &mut [(u64, Session)],
    ids: Ids<'_>,
    earlier: &[usize],
) -> Result<Vec<f32>> {
    let config = &network.config;
    let packed = Packed::after(config, ids, earlier)?;
    if packed.is_empty() {
        return Ok(Vec::new());
    }
    // The caches of each block, one for each session.
    let mut caches: Vec<Vec<&mut Cache>> = (0..config.layers).map(|_| Vec::new()).collect();
    for (_, session) in sessions {
        for (block, cache) in caches.iter_mut().zip(&mut session.caches) {
            block.push(cache);
        }
    }
    let width = config.hidden_size;
    let hidden = numeric(network.hidden(&packed.tokens(), Some(caches)))?;
    let mut last = Vec::with_capacity(earlier.len() * width);
    {
        let rows = numeric(Read::new(&hidden))?;
        for range in packed.sequences().ranges() {
            last.extend_from_slice(&rows[(range.end - 1) * width..range.end * width]);
        }
    }
    let shape = (earlier.len(), width);
    let last = numeric(Tensor::from_vec(last, shape, hidden.device()))?;
    network.workspace.recycle(hidden);
    let logits = numeric(network.logits(&packed.tokens(), &last))?;
    let values = numeric(Read::new(&logits))?.to_vec();
    network.workspace.recycle(logits);
    Ok(values)
}
