//! A volume that is read by ranges, so that of a large image only what is needed is fetched.

use std::io::{self, Read, Seek, SeekFrom};

use virt::connect::Connect;
use virt::storage_vol::StorageVol;
use virt::stream::Stream;

use super::connection::Connection;
use super::error::StepError;
use super::raw::{self, Held};

/// How much is fetched at once; directories and the like are small, and read in order.
const RANGE: u64 = 1 << 20;

/// Reads a volume, a range at a time.
pub(super) struct VolumeReader {
    connect: Held<Connect>,
    volume: Held<StorageVol>,
    length: u64,
    position: u64,
    /// The range that was fetched last, and where it begins.
    range: (u64, Vec<u8>),
}

impl VolumeReader {
    pub(super) fn open(connection: &Connection, pool: &str, name: &str) -> Result<Self, StepError> {
        let volume = connection.volume_to_read(pool, name)?;
        let length = volume.info()?.capacity;
        Ok(Self {
            connect: Held::new(Connect::clone(&connection.connect)),
            volume,
            length,
            position: 0,
            range: (0, Vec::new()),
        })
    }

    /// Fetches the range at the position.
    fn fetch(&mut self) -> Result<(), StepError> {
        let length = RANGE.min(self.length - self.position);
        let stream = Held::new(Stream::new(&self.connect, 0)?);
        self.volume.download(&stream, self.position, length, 0)?;
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match stream.recv(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    bytes.extend_from_slice(&buffer[..usize::try_from(count).unwrap_or(0)])
                }
                Err(error) => {
                    raw::abort(&stream);
                    return Err(error.into());
                }
            }
        }
        raw::finish(&stream)?;
        self.range = (self.position, bytes);
        Ok(())
    }

    /// What is at the position of what was fetched last.
    fn fetched(&self) -> &[u8] {
        let (begin, bytes) = &self.range;
        let offset = self.position.checked_sub(*begin);
        offset
            .and_then(|offset| bytes.get(usize::try_from(offset).ok()?..))
            .unwrap_or_default()
    }
}

impl Read for VolumeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.length {
            return Ok(0);
        }
        if self.fetched().is_empty() {
            self.fetch()
                .map_err(|error| io::Error::other(error.message()))?;
        }
        let count = self.fetched().len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.fetched()[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for VolumeReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
