//! Table lookups as compositions; the ids were checked. The backward adds rows of the same id in `segments`.

use candle_core::Tensor;

use super::{add_to, indices, segments};
use crate::Result;
use crate::embedding::Lookup;

pub(crate) fn forward(lookups: &[Lookup<'_>]) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for lookup in lookups {
        let ids = indices(lookup.ids, lookup.table.device())?;
        let rows = lookup.table.index_select(&ids, 0)?;
        sum = Some(match sum {
            None => rows,
            Some(sum) => (sum + rows)?,
        });
    }
    sum.ok_or_else(|| crate::Error::Unsupported("an embedding without tables".to_owned()))
}

pub(crate) fn backward(dy: &Tensor, ids: &[u32], gradient: &Tensor) -> Result<()> {
    add_to(gradient, &segments::scatter(dy, ids, gradient.dims2()?.0)?)
}
