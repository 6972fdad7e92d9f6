//! Calls to gRPC services, shared queues, foreign functions, names to resolve.

use std::time::Duration;

use super::read_pairs;
use crate::{
    abi::{
        CallStatus, CalloutToken, GrpcMethod, GrpcRequest, Guest, GuestOut, GuestSlice, HostCalls, QueueId,
        Refusal,
    },
    message::HeaderMap,
};

/// The slices that name a gRPC method, as the guest passes them.
pub(crate) struct MethodSlices {
    pub(crate) target: GuestSlice,
    pub(crate) service: GuestSlice,
    pub(crate) method: GuestSlice,
    pub(crate) metadata: GuestSlice,
}

fn read_method<G: Guest>(
    guest: &mut G,
    hostcall: &'static str,
    slices: &MethodSlices,
) -> Result<GrpcMethod, Refusal> {
    Ok(GrpcMethod {
        target: guest.read(slices.target)?,
        service: guest.read(slices.service)?,
        method: guest.read(slices.method)?,
        metadata: HeaderMap::from_iter(read_pairs(guest, hostcall, slices.metadata)?),
    })
}

pub(crate) fn grpc_call<G: Guest>(
    guest: &mut G,
    slices: &MethodSlices,
    message: GuestSlice,
    timeout: u32,
    token: u32,
) -> Result<(), Refusal> {
    let message = guest.read(message)?;
    let method = read_method(guest, "proxy_grpc_call", slices)?;
    let timeout = Duration::from_millis(timeout.into());
    let number = guest.host().grpc_call(GrpcRequest { method, message, timeout })?;
    Ok(guest.write_u32(token, number.0)?)
}

/// A stream that ends at once is told so while the guest is still in this hostcall: Envoy enters it a second time.
pub(crate) fn grpc_stream<G: Guest>(guest: &mut G, slices: &MethodSlices, token: u32) -> Result<(), Refusal> {
    let method = read_method(guest, "proxy_grpc_stream", slices)?;
    let answer = guest.host().grpc_stream(method);
    call_nested(guest)?;
    Ok(guest.write_u32(token, answer?.0)?)
}

fn call_nested<G: Guest>(guest: &mut G) -> Result<(), Refusal> {
    while let Some((context, callback)) = guest.host().begin_nested_callback() {
        let called = guest.enter_again(context, callback);
        guest.host().end_nested_callback();
        called?;
    }
    Ok(())
}

pub(crate) fn grpc_send<G: Guest>(
    guest: &mut G,
    token: u32,
    message: GuestSlice,
    end: u32,
) -> Result<(), Refusal> {
    let message = guest.read(message)?;
    Ok(guest.host().grpc_send(CalloutToken(token), message, end != 0)?)
}

pub(crate) fn grpc_cancel<G: Guest>(guest: &mut G, token: u32) -> Result<(), Refusal> {
    Ok(guest.host().grpc_cancel(CalloutToken(token))?)
}

pub(crate) fn grpc_close<G: Guest>(guest: &mut G, token: u32) -> Result<(), Refusal> {
    Ok(guest.host().grpc_close(CalloutToken(token))?)
}

pub(crate) fn register_shared_queue<G: Guest>(
    guest: &mut G,
    name: GuestSlice,
    id: u32,
) -> Result<(), Refusal> {
    let name = guest.read(name)?;
    let number = guest.host().register_queue(name)?;
    Ok(guest.write_u32(id, number.0)?)
}

pub(crate) fn resolve_shared_queue<G: Guest>(
    guest: &mut G,
    vm_id: GuestSlice,
    name: GuestSlice,
    id: u32,
) -> Result<(), Refusal> {
    let (vm_id, name) = (guest.read(vm_id)?, guest.read(name)?);
    let number = guest.host().resolve_queue(&vm_id, &name)?;
    Ok(guest.write_u32(id, number.0)?)
}

pub(crate) fn enqueue_shared_queue<G: Guest>(
    guest: &mut G,
    id: u32,
    data: GuestSlice,
) -> Result<(), Refusal> {
    let data = guest.read(data)?;
    Ok(guest.host().enqueue(QueueId(id), data)?)
}

pub(crate) fn dequeue_shared_queue<G: Guest>(guest: &mut G, id: u32, out: GuestOut) -> Result<(), Refusal> {
    let data = guest.host().dequeue(QueueId(id))?;
    guest.return_bytes(&data, out)
}

/// Address and size are written whatever the status; either place may be 0: then that part is not wanted.
pub(crate) fn call_foreign_function<G: Guest>(
    guest: &mut G,
    name: GuestSlice,
    arguments: GuestSlice,
    out: GuestOut,
) -> Result<(), Refusal> {
    let (name, arguments) = (guest.read(name)?, guest.read(arguments)?);
    let answer = guest.host().foreign_function(&name, arguments)?;
    let size = answer.result.as_ref().map_or(0, bytes::Bytes::len);
    let size = u32::try_from(size).map_err(|_| CallStatus::InvalidMemoryAccess)?;
    if out.ptr != 0 {
        let address = match &answer.result {
            Some(result) => place(guest, result, size)?,
            None => 0,
        };
        guest.write_address(out.ptr, address)?;
    }
    if out.len != 0 {
        guest.write_size(out.len, size)?;
    }
    match answer.status {
        CallStatus::Ok => Ok(()),
        status => Err(status.into()),
    }
}

/// The guest is asked for room for an empty result too.
fn place<G: Guest>(guest: &mut G, result: &[u8], size: u32) -> Result<u32, Refusal> {
    let address = match guest.allocate(size) {
        Err(Refusal::Status(_)) if size == 0 => 0,
        other => other?,
    };
    guest.write(address, result)?;
    Ok(address)
}

pub(crate) fn resolve_dns<G: Guest>(guest: &mut G, name: GuestSlice, token: u32) -> Result<(), Refusal> {
    let name = guest.read(name)?;
    // Tried before anything is begun.
    guest.write_u32(token, 0)?;
    let number = guest.host().resolve_dns(name)?;
    // Envoy has written it by now.
    guest.write_u32(token, number.0)?;
    call_nested(guest)
}
