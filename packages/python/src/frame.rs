// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 the afmpeg authors

//! Pictures, whose pixels Python reads and changes in place.

use bytes::BytesMut;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

/// One picture.
#[pyclass(frozen, module = "afmpeg")]
pub struct Frame {
    /// The time that was asked for, in seconds.
    #[pyo3(get)]
    time: f64,
    #[pyo3(get)]
    width: u32,
    #[pyo3(get)]
    height: u32,
    /// `png`, `jpeg` or `rgba`.
    #[pyo3(get)]
    format: &'static str,
    pixels: Pixels,
    /// Of the buffer: one dimension for files, and rows, columns and channels for pixels.
    dimensions: c_int,
    shape: [isize; 3],
    strides: [isize; 3],
}

/// Bytes that only Python reads and writes once they are here.
struct Pixels {
    start: NonNull<u8>,
    size_bytes: usize,
    /// Not used but to free them.
    _owner: BytesMut,
}

// SAFETY: the pointer is to memory that the owner has for itself and never moves. Rust reads it only while attached to
// the interpreter, and whoever writes to it through a buffer of Python's is bound by that buffer's rules.
unsafe impl Send for Pixels {}
// SAFETY: as above.
unsafe impl Sync for Pixels {}

impl Frame {
    pub fn new(frame: afmpeg::Frame, format: &'static str) -> Frame {
        let (width, height) = (frame.width, frame.height);
        // Nobody else has them, so that nothing is copied.
        let mut owner = frame
            .image
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let start = NonNull::new(owner.as_mut_ptr()).unwrap_or(NonNull::dangling());
        let size_bytes = owner.len();
        let is_pixels = format == "rgba" && size_bytes == width as usize * height as usize * 4;
        let (dimensions, shape, strides) = match is_pixels {
            true => (3, [height as isize, width as isize, 4], [width as isize * 4, 4, 1]),
            false => (1, [size_bytes as isize, 0, 0], [1, 0, 0]),
        };
        Frame {
            time: frame.time.as_secs_f64(),
            width,
            height,
            format,
            pixels: Pixels {
                start,
                size_bytes,
                _owner: owner,
            },
            dimensions,
            shape,
            strides,
        }
    }
}

#[pymethods]
impl Frame {
    /// A PNG or JPEG file, or the pixels, as a copy.
    #[getter]
    fn image<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        // SAFETY: the memory is the owner's and initialised, and the interpreter is ours while it is read.
        let bytes = unsafe { std::slice::from_raw_parts(self.pixels.start.as_ptr(), self.pixels.size_bytes) };
        PyBytes::new(py, bytes)
    }

    /// The pixels as an array of numpy's, of rows, columns and channels, without a copy.
    #[getter]
    fn array<'py>(slf: &Bound<'py, Frame>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if slf.get().dimensions != 3 {
            let message = "a PNG or JPEG file is no array: ask for frames(array=True)";
            return Err(pyo3::exceptions::PyTypeError::new_err(message));
        }
        py.import("numpy")?.getattr("asarray")?.call1((slf,))
    }

    /// # Safety
    ///
    /// Python calls this with a view to fill in.
    unsafe fn __getbuffer__(slf: Bound<Frame>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("there is no view to fill in"));
        }
        let frame = slf.get();
        let has = |wanted: c_int| flags & wanted == wanted;
        if frame.dimensions == 3 && has(ffi::PyBUF_F_CONTIGUOUS) && !has(ffi::PyBUF_C_CONTIGUOUS) {
            return Err(PyBufferError::new_err("a picture is in rows, and not in columns"));
        }
        let with_shape = has(ffi::PyBUF_ND);
        // SAFETY: Python's view is ours to fill in. The memory, the shape and the strides live as long as the frame,
        // which the view owns a reference to, and none of them moves.
        unsafe {
            (*view).buf = frame.pixels.start.as_ptr().cast::<c_void>();
            (*view).len = frame.pixels.size_bytes as isize;
            (*view).readonly = 0;
            (*view).itemsize = 1;
            (*view).format = match has(ffi::PyBUF_FORMAT) {
                true => c"B".as_ptr().cast_mut(),
                false => ptr::null_mut(),
            };
            (*view).ndim = if with_shape { frame.dimensions } else { 1 };
            (*view).shape = match with_shape {
                true => frame.shape.as_ptr().cast_mut(),
                false => ptr::null_mut(),
            };
            (*view).strides = match has(ffi::PyBUF_STRIDES) {
                true => frame.strides.as_ptr().cast_mut(),
                false => ptr::null_mut(),
            };
            (*view).suboffsets = ptr::null_mut();
            (*view).internal = ptr::null_mut();
            (*view).obj = slf.into_ptr();
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        let Frame {
            time,
            width,
            height,
            format,
            ..
        } = self;
        format!("Frame(time={time}, width={width}, height={height}, format='{format}')")
    }
}
