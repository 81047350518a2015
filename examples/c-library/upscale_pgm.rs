//! Enlarges a PGM picture (binary, 8 bit) in Rust by FFI, in the precision `fast`, and says on standard error how far it is.
//!
//!     rustc --edition 2021 -L native=PREFIX/lib upscale_pgm.rs
//!     ./upscale_pgm fsrcnn-x2.safetensors photo.pgm larger.pgm

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_void};
use std::process::ExitCode;

const FAST: i32 = 1;
const ABI: i32 = 2; // that these declarations are of

#[repr(C)]
struct Error {
    status: i32,
    text: [c_char; 508],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Format {
    layout: i32, // 0: gray
    depth: i32,
    range: i32,
    matrix: i32,
    siting: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Plane {
    data: *mut c_void,
    row_stride: i64,
    column_stride: i64,
}

#[repr(C)]
struct Image {
    format: Format,
    width: i64,
    height: i64,
    plane: [Plane; 4],
}

#[repr(C)]
struct Facts {
    numbers: [i32; 9], // the first is the scale
    name: *const c_char,
    description: *const c_char,
}

#[repr(C)]
struct Control {
    done: i64,
    cancel: i32,
    watch: Option<extern "C" fn(*mut Control)>,
    context: *mut c_void,
}

#[repr(C)]
struct Handle {
    _private: [u8; 0],
}

#[link(name = "fsrcnn")]
extern "C" {
    fn fsrcnn_abi() -> i32;
    fn fsrcnn_open(path: *const c_char, precision: i32, instruction_set: *const c_char, error: *mut Error) -> *mut Handle;
    fn fsrcnn_describe_model(model: *const Handle) -> Facts;
    fn fsrcnn_close(model: *mut Handle);
    fn fsrcnn_packed(format: Format, width: i64, height: i64, data: *mut c_void) -> Image;
    fn fsrcnn_upscale(model: *const Handle, lr: *const Image, sr: *const Image, threads: i32, control: *mut Control, error: *mut Error) -> i32;
}

impl Error {
    fn new() -> Error {
        Error { status: 0, text: [0; 508] }
    }
    fn sentence(&self) -> String {
        unsafe { CStr::from_ptr(self.text.as_ptr()) }.to_string_lossy().into_owned()
    }
}

/// A network, closed where its owner goes. The library lets any number of threads use it at once.
struct Model(*mut Handle);
unsafe impl Send for Model {}
unsafe impl Sync for Model {}

impl Model {
    fn open(path: &str) -> Result<Model, String> {
        if unsafe { fsrcnn_abi() } != ABI {
            return Err("libfsrcnn is of another version".into());
        }
        let name = CString::new(path).map_err(|_| "a path has no zero byte".to_string())?;
        let mut error = Error::new();
        let handle = unsafe { fsrcnn_open(name.as_ptr(), FAST, std::ptr::null(), &mut error) };
        if handle.is_null() { Err(error.sentence()) } else { Ok(Model(handle)) }
    }

    fn scale(&self) -> usize {
        unsafe { fsrcnn_describe_model(self.0) }.numbers[0] as usize
    }

    /// Gray of 8 bits, `width * height` samples, to `scale` times as many rows and columns.
    fn upscale(&self, gray: &[u8], width: usize, height: usize) -> Result<Vec<u8>, String> {
        assert_eq!(gray.len(), width * height);
        let scale = self.scale();
        let format = Format { layout: 0, depth: 8, range: 0, matrix: 0, siting: 0 };
        let mut larger = vec![0; gray.len() * scale * scale];
        let mut error = Error::new();
        let mut pixels = (width * height) as i64;
        let mut control = Control { done: 0, cancel: 0, watch: Some(progress), context: &mut pixels as *mut i64 as *mut c_void };
        let status = unsafe {
            // Planes are not const in C, but those of the picture are only read.
            let lr = fsrcnn_packed(format, width as i64, height as i64, gray.as_ptr() as *mut c_void);
            let sr = fsrcnn_packed(format, (scale * width) as i64, (scale * height) as i64, larger.as_mut_ptr() as *mut c_void);
            fsrcnn_upscale(self.0, &lr, &sr, 0, &mut control, &mut error)
        };
        if status != 0 { Err(error.sentence()) } else { Ok(larger) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        unsafe { fsrcnn_close(self.0) }
    }
}

extern "C" fn progress(control: *mut Control) {
    let (done, pixels) = unsafe { (std::ptr::read_volatile(&(*control).done), *((*control).context as *const i64)) };
    eprintln!("{} %", 100 * done / pixels);
}

/// Width, height and samples of a binary PGM of 8 bits.
fn parse(file: &[u8]) -> Option<(usize, usize, &[u8])> {
    let mut at = 2;
    let mut numbers = [0usize; 3];
    for number in &mut numbers {
        while file.get(at)?.is_ascii_whitespace() || file[at] == b'#' {
            if file[at] == b'#' {
                at += file[at..].iter().position(|&letter| letter == b'\n')?;
            }
            at += 1;
        }
        let end = at + file[at..].iter().position(|letter| !letter.is_ascii_digit())?;
        *number = std::str::from_utf8(&file[at..end]).ok()?.parse().ok()?;
        at = end;
    }
    let samples = file.get(at + 1..at + 1 + numbers[0].checked_mul(numbers[1])?)?;
    (file.starts_with(b"P5") && numbers[2] == 255).then(|| (numbers[0], numbers[1], samples))
}

fn run(weights: &str, input: &str, output: &str) -> Result<(), String> {
    let model = Model::open(weights)?;
    let file = std::fs::read(input).map_err(|error| format!("{input}: {error}"))?;
    let (width, height, gray) = parse(&file).ok_or(format!("{input} is no binary PGM of 8 bits"))?;
    let larger = model.upscale(gray, width, height)?;
    let scale = model.scale();
    let mut result = format!("P5\n{} {}\n255\n", scale * width, scale * height).into_bytes();
    result.extend(larger);
    std::fs::write(output, result).map_err(|error| format!("{output}: {error}"))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 4 {
        eprintln!("usage: upscale_pgm WEIGHTS.safetensors INPUT OUTPUT");
        return ExitCode::from(2);
    }
    match run(&arguments[1], &arguments[2], &arguments[3]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("upscale_pgm: {why}");
            ExitCode::from(1)
        }
    }
}
