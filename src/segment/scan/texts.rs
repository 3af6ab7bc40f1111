//! Texts of a column: views into its dictionary, or into pages without one.

use super::{ChunkPages, Content, Nulls, Scratch, arrow_error, decode, odd};
use crate::error::Result;
use crate::num;
use arrow_array::builder::make_view;
use arrow_array::{Array as _, ArrayRef, StringViewArray, UInt32Array, new_null_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use parquet::basic::Encoding;
use std::ops::Range;
use std::sync::Arc;

/// The `count` texts of PLAIN bytes; `None` if they are not there.
pub(super) fn plain(plain: &[u8], count: usize) -> Result<Option<StringViewArray>> {
    let Some(texts) = decode::texts(plain, count) else {
        return Ok(None);
    };
    let mut kept: Vec<u8> = Vec::with_capacity(plain.len());
    let mut ends = Vec::with_capacity(texts.len());
    for text in texts {
        kept.extend_from_slice(text);
        ends.push(kept.len());
    }
    views(kept, &ends).map(Some)
}

/// Texts that lie behind one another, by their ends.
fn views(texts: Vec<u8>, ends: &[usize]) -> Result<StringViewArray> {
    let mut views = Vec::with_capacity(ends.len());
    let mut start = 0;
    for end in ends {
        let offset = u32::try_from(start).map_err(|_| odd("a page of texts is too long"))?;
        let text = texts.get(start..*end).unwrap_or_default();
        views.push(make_view(text, 0, offset));
        start = *end;
    }
    let buffers = vec![Buffer::from_vec(texts)];
    StringViewArray::try_new(ScalarBuffer::from(views), buffers, None).map_err(arrow_error)
}

/// The texts of a column.
pub(super) fn column(
    scratch: &mut Scratch,
    pages: &ChunkPages,
    dictionary: Option<&StringViewArray>,
) -> Result<ArrayRef> {
    let mut parts: Vec<ArrayRef> = Vec::with_capacity(1);
    // Pages that use the dictionary become one array, whose views are the dictionary's own.
    let mut indices: Vec<u32> = Vec::with_capacity(pages.rows);
    let mut nulls = Nulls::new();
    pages.each(scratch, |content, wanted| {
        if content.encoding != Encoding::RLE_DICTIONARY {
            if !indices.is_empty() {
                let nulls = std::mem::replace(&mut nulls, Nulls::new()).finish();
                parts.push(by_index(dictionary, std::mem::take(&mut indices), nulls)?);
            }
            parts.push(texts_of_page(&content, wanted)?);
            return Ok(());
        }
        let entries = dictionary.map_or(0, |texts| texts.len());
        let mut own = Vec::with_capacity(content.values);
        let mut known = true;
        let (width, rest) = content.plain.split_first().unwrap_or((&0, &[]));
        decode::hybrid(rest, *width, content.values, |index, len| {
            known &= num::to_usize(u64::from(index)) < entries;
            own.resize(own.len() + len, index);
        })
        .filter(|()| known)
        .ok_or_else(|| odd("a page of texts names what its dictionary does not have"))?;
        spread(&own, content.present.as_ref(), wanted, &mut indices);
        nulls.add(content.present.as_ref(), wanted, pages.rows);
        Ok(())
    })?;
    if !indices.is_empty() || parts.is_empty() {
        parts.push(by_index(dictionary, indices, nulls.finish())?);
    }
    match parts.as_slice() {
        [one] => Ok(Arc::clone(one)),
        several => {
            let several: Vec<_> = several.iter().map(AsRef::as_ref).collect();
            arrow_select::concat::concat(&several).map_err(arrow_error)
        }
    }
}

/// Appends the wanted rows' values, 0 where there is none.
fn spread(
    values: &[u32],
    present: Option<&BooleanBuffer>,
    wanted: &Range<usize>,
    out: &mut Vec<u32>,
) {
    let Some(present) = present else {
        out.extend_from_slice(values.get(wanted.clone()).unwrap_or_default());
        return;
    };
    let mut there = values.iter().copied();
    let all = present.iter().map(|is_there| {
        if is_there {
            there.next().unwrap_or(0)
        } else {
            0
        }
    });
    out.extend(all.take(wanted.end).skip(wanted.start));
}

fn by_index(
    dictionary: Option<&StringViewArray>,
    indices: Vec<u32>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let Some(dictionary) = dictionary.filter(|texts| !texts.is_empty()) else {
        return Ok(new_null_array(&DataType::Utf8View, indices.len()));
    };
    let indices = UInt32Array::new(ScalarBuffer::from(indices), nulls);
    arrow_select::take::take(dictionary, &indices, None).map_err(arrow_error)
}

/// A page without a dictionary.
fn texts_of_page(content: &Content<'_>, wanted: &Range<usize>) -> Result<ArrayRef> {
    let damaged = || odd("a page of texts is damaged");
    let texts = match content.encoding {
        Encoding::PLAIN => plain(content.plain, content.values)?.ok_or_else(damaged)?,
        Encoding::DELTA_BYTE_ARRAY => {
            let texts = decode::prefixed(content.plain, content.values);
            let (texts, ends) = texts.ok_or_else(damaged)?;
            views(texts, &ends)?
        }
        _ => return Err(damaged()),
    };
    let Some(present) = &content.present else {
        return Ok(Arc::new(texts.slice(wanted.start, wanted.len())));
    };
    let mut number = 0u32;
    let positions = present.iter().map(|is_there| {
        let own = is_there.then_some(number);
        number += u32::from(is_there);
        own
    });
    let positions: UInt32Array = positions.take(wanted.end).skip(wanted.start).collect();
    arrow_select::take::take(&texts, &positions, None).map_err(arrow_error)
}
