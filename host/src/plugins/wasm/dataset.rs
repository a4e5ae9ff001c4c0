//! Datasets in WebAssembly.

use codex_plugin_api::{Batch, Dataset, DatasetInfo, Error, Result};
use serde_json::Value;

use super::bindings::exports::codex::plugin::dataset::{Guest as Calls, GuestIndices};
use super::convert;
use super::guest::Guest;

pub(super) type Exports = GuestIndices;

struct WasmDataset {
    guest: Guest,
    calls: Calls,
}

pub(super) fn create(
    guest: Guest,
    exports: Exports,
    name: &str,
    config: &Value,
) -> Result<impl Dataset + use<>> {
    let calls = guest.call_plain(|store, instance| exports.load(store, instance))?;
    guest.call(|store| calls.call_create(store, name, &config.to_string()))?;
    Ok(WasmDataset { guest, calls })
}

impl Dataset for WasmDataset {
    fn info(&self) -> Result<DatasetInfo> {
        let info = self.guest.call(|store| self.calls.call_info(store))?;
        Ok(convert::dataset_info(info))
    }

    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let columns = self
            .guest
            .call(|store| self.calls.call_read(store, start, count))?;
        let batch = convert::batch(columns)?;
        if batch.rows() as u64 > count {
            return Err(Error::data(format!(
                "{} rows came where {count} from row {start} were asked for",
                batch.rows()
            )));
        }
        Ok(batch)
    }
}
