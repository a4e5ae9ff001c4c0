//! Datasets across the border; their rows travel as an Arrow C stream.

use std::sync::OnceLock;

use abi_stable::StableAbi;
use abi_stable::std_types::RVec;

use super::arrow::ArrowArrayStream;
use super::buffers::{from_json, to_json};
use super::error::{AbiResult, broken};
use super::guard::guard;
use super::object::{Proxy, object, release, shared, table};
use crate::{Batch, Dataset, DatasetInfo, Result};

/// The functions of a dataset.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = DatasetTable, prefix_fields = DatasetTablePrefix)))]
pub struct DatasetFunctions {
    release: unsafe extern "C" fn(*mut ()),
    /// [`DatasetInfo`] as JSON.
    info: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<u8>>,
    /// Start and count; the stream may hold any number of chunks.
    #[sabi(last_prefix_field)]
    read: unsafe extern "C" fn(*mut (), u64, u64) -> AbiResult<ArrowArrayStream>,
}

table! {
    DatasetTable of DatasetFunctions {
        release: release::<dyn Dataset>,
        info,
        read,
    }
}

object! {
    /// A dataset.
    AbiDataset, DatasetTable, Dataset
}

// SAFETY: the trait requires it of the instance, and the table is constant.
unsafe impl Sync for AbiDataset {}

// SAFETY of every function below: the table's contract. `this` is a live instance made with this table.

unsafe extern "C" fn info(this: *mut ()) -> AbiResult<RVec<u8>> {
    guard(|| {
        // SAFETY: see above.
        let info = unsafe { shared::<dyn Dataset>(this) }.info()?;
        to_json(&info, "the description of a dataset")
    })
}

unsafe extern "C" fn read(this: *mut (), start: u64, count: u64) -> AbiResult<ArrowArrayStream> {
    // SAFETY: see above.
    guard(|| {
        unsafe { shared::<dyn Dataset>(this) }
            .read(start, count)
            .map(ArrowArrayStream::export)
    })
}

/// The using side.
struct DatasetProxy {
    proxy: Proxy<AbiDataset>,
    /// Read once, when first needed: it is the same at every call, and every batch is held against it.
    info: OnceLock<DatasetInfo>,
}

impl AbiDataset {
    /// The dataset as its trait.
    ///
    /// # Errors
    /// None today.
    pub fn import(self) -> Result<Box<dyn Dataset>> {
        Ok(Box::new(DatasetProxy {
            proxy: Proxy::new(self),
            info: OnceLock::new(),
        }))
    }
}

impl DatasetProxy {
    fn known(&self) -> Result<&DatasetInfo> {
        if let Some(info) = self.info.get() {
            return Ok(info);
        }
        // SAFETY: the object owns a live instance of its own table.
        let json = self.proxy.call(|it| unsafe { it.table.info()(it.this) })?;
        let info = from_json(json, "a description of its rows")?;
        Ok(self.info.get_or_init(|| info))
    }

    fn check(&self, batch: &Batch, count: u64) -> Result<()> {
        let rows = batch.rows() as u64;
        if rows > count {
            return Err(broken(format!("{rows} rows where {count} were asked for")));
        }
        let fields = &self.known()?.fields;
        let columns = batch.columns();
        let fits = fields.len() == columns.len()
            && fields.iter().zip(columns).all(|(field, column)| {
                field.name == column.name && field.field_type == column.values.field_type()
            });
        if fits {
            return Ok(());
        }
        let found: Vec<String> = columns
            .iter()
            .map(|column| format!("{}: {:?}", column.name, column.values.field_type()))
            .collect();
        let due: Vec<String> = fields
            .iter()
            .map(|field| format!("{}: {:?}", field.name, field.field_type))
            .collect();
        Err(broken(format!(
            "the columns [{}] where it promised [{}]",
            found.join(", "),
            due.join(", ")
        )))
    }
}

impl Dataset for DatasetProxy {
    fn info(&self) -> Result<DatasetInfo> {
        self.known().cloned()
    }

    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let stream = self
            .proxy
            // SAFETY: the object owns a live instance of its own table.
            .call(|it| unsafe { it.table.read()(it.this, start, count) })?;
        let batch = stream.import()?;
        self.check(&batch, count)?;
        Ok(batch)
    }
}
