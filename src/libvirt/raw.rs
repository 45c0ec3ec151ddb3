//! The calls that `virt` lacks, and handles that are let go without a panic. All `unsafe` of the binding is here.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::mem::ManuallyDrop;
use std::ops::Deref;

use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::interface::Interface;
use virt::network::Network;
use virt::storage_pool::StoragePool;
use virt::storage_vol::StorageVol;
use virt::stream::Stream;
use virt::sys;

/// A handle whose reference is given back without looking at the result: `virt`'s own `Drop` panics
/// when that fails, as it may on a connection that died, and there is nothing anyone could do then.
pub struct Held<T: Release>(ManuallyDrop<T>);

/// A handle of `virt`'s that [`Held`] can let go.
pub trait Release {
    /// Gives the reference back.
    fn release(&self);
}

macro_rules! release {
    ($($handle:ty => $free:path),* $(,)?) => {$(
        impl Release for $handle {
            fn release(&self) {
                // SAFETY: the handle owns one reference to a valid object, and `Held` calls this once, as its last use.
                unsafe { $free(self.as_ptr()) };
            }
        }
    )*};
}

release! {
    Connect => sys::virConnectClose,
    Domain => sys::virDomainFree,
    Network => sys::virNetworkFree,
    StoragePool => sys::virStoragePoolFree,
    StorageVol => sys::virStorageVolFree,
    Stream => sys::virStreamFree,
    Interface => sys::virInterfaceFree,
}

impl<T: Release> Held<T> {
    /// Takes a handle over.
    pub fn new(handle: T) -> Self {
        Self(ManuallyDrop::new(handle))
    }

    /// Takes a list of handles over.
    pub fn all(handles: Vec<T>) -> Vec<Self> {
        handles.into_iter().map(Self::new).collect()
    }
}

impl<T: Release> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Release> Drop for Held<T> {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// The `errno` that came with this thread's last error, for errors that stem from a system call.
pub fn last_errno() -> Option<i32> {
    // SAFETY: the pointer is null or valid until this thread's next call into libvirt, and only read here.
    unsafe { sys::virGetLastError().as_ref() }
        .filter(|error| error.code == sys::VIR_ERR_SYSTEM_ERROR as i32)
        .map(|error| error.int1)
}

/// Defines a network with flags (`virNetworkDefineXMLFlags`, libvirt 7.7.0).
pub fn define_network(
    connect: &Connect,
    xml: &str,
    flags: sys::virNetworkDefineFlags,
) -> Result<Held<Network>, Error> {
    let xml = CString::new(xml)?;
    // SAFETY: the connection is valid as long as it is borrowed, and the text ends with a zero byte.
    let network = unsafe { sys::virNetworkDefineXMLFlags(connect.as_ptr(), xml.as_ptr(), flags) };
    if network.is_null() {
        return Err(Error::last_error());
    }
    // SAFETY: libvirt gave a new reference, which the handle owns from here on.
    Ok(Held::new(unsafe { Network::from_ptr(network) }))
}

/// Ends a stream in good order; the other side's last error shows here.
pub fn finish(stream: &Stream) -> Result<(), Error> {
    // SAFETY: the stream is valid as long as it is borrowed. (`virt` consumes it, and may panic doing so.)
    match unsafe { sys::virStreamFinish(stream.as_ptr()) } {
        0 => Ok(()),
        _ => Err(Error::last_error()),
    }
}

/// Leaves a hole of so many bytes in what a sparse stream fills.
pub fn send_hole(stream: &Stream, length: u64) -> Result<(), Error> {
    let mut left = length;
    while left > 0 {
        let piece = i64::try_from(left).unwrap_or(i64::MAX);
        // SAFETY: as in `finish`.
        if unsafe { sys::virStreamSendHole(stream.as_ptr(), piece, 0) } != 0 {
            return Err(Error::last_error());
        }
        left -= piece.unsigned_abs();
    }
    Ok(())
}

/// Breaks a stream off. That it fails tells nothing new: there was an error before.
pub fn abort(stream: &Stream) {
    // SAFETY: as in `finish`.
    unsafe { sys::virStreamAbort(stream.as_ptr()) };
}

/// The state of a guest and the reason for it, as libvirt's numbers. (`virt` takes a failed call for a state that it does not
/// know.)
pub fn state(domain: &Domain) -> Result<(sys::virDomainState, i32), Error> {
    let (mut state, mut reason) = (0, 0);
    // SAFETY: the domain is valid as long as it is borrowed, and so are the numbers that libvirt sets.
    match unsafe { sys::virDomainGetState(domain.as_ptr(), &mut state, &mut reason, 0) } {
        0 => Ok((state as sys::virDomainState, reason)),
        _ => Err(Error::last_error()),
    }
}

/// The kind of job that is under way on a disk of a running guest, as libvirt's number; `None` where there is none.
pub fn block_job(domain: &Domain, disk: &str) -> Result<Option<sys::virDomainBlockJobType>, Error> {
    let disk = CString::new(disk)?;
    let mut info = sys::virDomainBlockJobInfo {
        type_: 0,
        bandwidth: 0,
        cur: 0,
        end: 0,
    };
    // SAFETY: the domain is valid as long as it is borrowed, the text ends with a zero byte, and libvirt fills `info`.
    match unsafe { sys::virDomainGetBlockJobInfo(domain.as_ptr(), disk.as_ptr(), &mut info, 0) } {
        0 => Ok(None),
        1 => Ok(Some(info.type_ as sys::virDomainBlockJobType)),
        _ => Err(Error::last_error()),
    }
}

unsafe extern "C" {
    /// Of the C library, which libvirt has its lists from.
    fn free(memory: *mut c_void);
}

/// The MACs and addresses of what a network's DHCP servers leased.
pub fn leases(network: &Network) -> Result<Vec<(String, String)>, Error> {
    let mut leases: *mut sys::virNetworkDHCPLeasePtr = std::ptr::null_mut();
    // SAFETY: the network is valid as long as it is borrowed, no MAC means all, and libvirt sets `leases` to a list.
    let count =
        unsafe { sys::virNetworkGetDHCPLeases(network.as_ptr(), std::ptr::null(), &mut leases, 0) };
    let Ok(count) = usize::try_from(count) else {
        return Err(Error::last_error());
    };
    let mut all = Vec::new();
    for at in 0..count {
        // SAFETY: `at` is below the number of leases that libvirt gave, whose texts are null or end with a zero byte; each is let
        // go once, as its last use.
        unsafe {
            let lease = *leases.add(at);
            all.extend(text((*lease).mac).zip(text((*lease).ipaddr)));
            sys::virNetworkDHCPLeaseFree(lease);
        }
    }
    // SAFETY: the list came from libvirt, which has callers free it, and is not used any more.
    unsafe { free(leases.cast()) };
    Ok(all)
}

/// A text of libvirt's.
///
/// # Safety
///
/// The pointer is null or points to what ends with a zero byte.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: as above.
    let text = (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) });
    text.map(|text| text.to_string_lossy().into_owned())
}

/// The state of every guest, as libvirt's number, in one call; guests whose state is not told are left out.
pub fn all_states(connect: &Connect) -> Result<BTreeMap<Uuid, sys::virDomainState>, Error> {
    let mut records: *mut sys::virDomainStatsRecordPtr = std::ptr::null_mut();
    // SAFETY: the connection is valid; libvirt sets `records` to a list that ends with a null pointer.
    let count = unsafe {
        sys::virConnectGetAllDomainStats(
            connect.as_ptr(),
            sys::VIR_DOMAIN_STATS_STATE,
            &mut records,
            0,
        )
    };
    let Ok(count) = usize::try_from(count) else {
        return Err(Error::last_error());
    };
    let mut states = BTreeMap::new();
    for at in 0..count {
        // SAFETY: `at` is below the number of records that libvirt gave, each of which holds `nparams` parameters
        // whose names end with a zero byte and whose `type_` says which member of the union is set.
        unsafe {
            let record = &**records.add(at);
            let mut uuid = [0_u8; sys::VIR_UUID_BUFLEN as usize];
            if sys::virDomainGetUUID(record.dom, uuid.as_mut_ptr()) < 0 {
                continue;
            }
            let parameters = usize::try_from(record.nparams).unwrap_or(0);
            for parameter in (0..parameters).map(|at| &*record.params.add(at)) {
                if CStr::from_ptr(parameter.field.as_ptr()) == c"state.state"
                    && parameter.type_ == sys::VIR_TYPED_PARAM_INT as i32
                {
                    let state = u32::try_from(parameter.value.i).unwrap_or(0);
                    states.insert(Uuid::from_bytes(uuid), state);
                }
            }
        }
    }
    // SAFETY: the list came from libvirt and is not used any more.
    unsafe { sys::virDomainStatsRecordListFree(records) };
    Ok(states)
}
