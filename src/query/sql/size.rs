//! What rows take, not what they share with others: a slice of an array holds all of its buffers.

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use datafusion::arrow::datatypes::DataType;

/// Bytes of the cells of an array.
pub(super) fn array_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => {
            let views = array.as_string_view().views();
            let texts = views.iter().map(|view| {
                let [a, b, c, d, ..] = view.to_le_bytes();
                usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(0)
            });
            texts.fold(16 * views.len(), usize::saturating_add)
        }
        _ => array
            .to_data()
            .get_slice_memory_size()
            .unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

/// Bytes of the cells of a batch.
pub(super) fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}
