//! Where a file has data and where it has holes, which read as zeros and take no room.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Something was written there.
    Data(Range<u64>),
    /// Nothing was.
    Hole(Range<u64>),
}

/// The part of a file that begins at a position, up to a length at the most. Moves the file's own position. Where the file system
/// knows no holes, all is data.
pub fn extent(file: &File, position: u64, length: u64) -> io::Result<Extent> {
    let until = |end: u64| position..end.clamp(position, length);
    let data = match seek(file, SeekFrom::Data(position)) {
        Ok(data) => data,
        // There is none any more.
        Err(Errno::NXIO) => return Ok(Extent::Hole(until(length))),
        Err(_) => return Ok(Extent::Data(until(length))),
    };
    if data > position {
        return Ok(Extent::Hole(until(data)));
    }
    let end = seek(file, SeekFrom::Hole(position)).unwrap_or(length);
    // A file that is cut off meanwhile has no end here; who reads it sees that.
    Ok(Extent::Data(until(match end > position {
        true => end,
        false => length,
    })))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn the_parts_make_up_the_file() {
        let file = tempfile::tempfile().unwrap();
        let length = 4 << 20;
        file.set_len(length).unwrap();
        file.write_all_at(&[1; 100], 1 << 20).unwrap();
        file.write_all_at(&[0; 100], 3 << 20).unwrap();
        let mut position = 0;
        let mut data = Vec::new();
        while position < length {
            let range = match extent(&file, position, length).unwrap() {
                Extent::Hole(range) => range,
                Extent::Data(range) => {
                    data.push(range.clone());
                    range
                }
            };
            assert!(range.start == position && range.end > position);
            position = range.end;
        }
        assert_eq!(position, length);
        for written in [1 << 20, 3 << 20] {
            assert!(data.iter().any(|range| range.contains(&written)));
        }
        // The file has an end that is not its data's.
        assert_eq!(
            extent(&file, length, length).unwrap(),
            Extent::Hole(length..length)
        );
        assert!(
            matches!(extent(&file, 1 << 20, (1 << 20) + 50).unwrap(), Extent::Data(range) if range.end == (1 << 20) + 50)
        );
    }
}
