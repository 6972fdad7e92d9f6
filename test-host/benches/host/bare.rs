//! The yardstick: a plain wasmtime loop that makes the same callbacks of the same guests and answers their hostcalls as
//! simply as can be. No statuses, no phases, no limits, no statistics, no proxy around it.

use std::{collections::HashMap, path::Path, rc::Rc};

use wasmtime::{
    Caller, Config, Engine, InstancePre, Linker, Memory, Module, PoolingAllocationConfig, Store, TypedFunc,
};

use crate::traffic::{REQUEST, RESPONSE};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// A message's headers, made anew for every exchange.
#[derive(Default)]
pub(crate) struct Messages {
    request: Fields,
    response: Fields,
}

impl Messages {
    fn fresh() -> Self {
        let fields = |list: &[(&str, &str)]| {
            list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
        };
        Messages { request: fields(&REQUEST), response: fields(&RESPONSE) }
    }

    fn map(&mut self, number: u32) -> &mut Fields {
        if number == 0 { &mut self.request } else { &mut self.response }
    }
}

#[derive(Default)]
struct Host {
    messages: Messages,
    configuration: Rc<str>,
    shared: HashMap<Vec<u8>, (Vec<u8>, u32)>,
    metrics: Vec<u64>,
    now: u64,
    memory: Option<Memory>,
    allocate: Option<TypedFunc<u32, u32>>,
}

/// A guest that can be started any number of times.
pub(crate) struct Guest {
    engine: Engine,
    linked: InstancePre<Host>,
    configuration: Rc<str>,
}

impl Guest {
    pub(crate) fn load(wasm: &Path, configuration: &str) -> Self {
        Self::on(Config::new(), wasm, configuration)
    }

    /// Its VMs from a pool, for one to be started for each exchange.
    pub(crate) fn pooled(wasm: &Path, configuration: &str) -> Self {
        let mut config = Config::new();
        config.allocation_strategy(PoolingAllocationConfig::new());
        Self::on(config, wasm, configuration)
    }

    fn on(config: Config, wasm: &Path, configuration: &str) -> Self {
        let engine = Engine::new(&config).expect("a plain configuration");
        let module = Module::from_file(&engine, wasm).expect("the guest compiles");
        let mut linker = Linker::new(&engine);
        link(&mut linker).expect("no name twice");
        linker.define_unknown_imports_as_traps(&module).expect("functions");
        let linked = linker.instantiate_pre(&module).expect("all imports are there");
        Guest { engine, linked, configuration: configuration.into() }
    }

    pub(crate) fn start(&self) -> Vm {
        let host = Host { configuration: Rc::clone(&self.configuration), ..Host::default() };
        let mut store = Store::new(&self.engine, host);
        let instance = self.linked.instantiate(&mut store).expect("it starts");
        macro_rules! export {
            ($name:literal) => {
                instance.get_typed_func(&mut store, $name).expect("the SDK exports it")
            };
        }
        let allocate = ["malloc", "proxy_on_memory_allocate"]
            .into_iter()
            .find_map(|name| instance.get_typed_func(&mut store, name).ok());
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        store.data_mut().allocate = allocate;
        let initialize: TypedFunc<(), ()> = export!("_initialize");
        let on_vm_start: TypedFunc<(u32, u32), u32> = export!("proxy_on_vm_start");
        let on_configure: TypedFunc<(u32, u32), u32> = export!("proxy_on_configure");
        let mut vm = Vm {
            create: export!("proxy_on_context_create"),
            request: export!("proxy_on_request_headers"),
            response: export!("proxy_on_response_headers"),
            done: export!("proxy_on_done"),
            log: export!("proxy_on_log"),
            delete: export!("proxy_on_delete"),
            store,
            last_context: 1,
        };
        let store = &mut vm.store;
        initialize.call(&mut *store, ()).expect("it initialises");
        vm.create.call(&mut *store, (1, 0)).expect("a root context");
        on_vm_start.call(&mut *store, (1, 0)).expect("it starts");
        on_configure.call(store, (1, self.configuration.len() as u32)).expect("it is configured");
        vm
    }
}

/// Compiles a guest as the host does, and forgets it.
pub(crate) fn compile(wasm: &Path) {
    let mut config = Config::new();
    config.epoch_interruption(true).cranelift_nan_canonicalization(true);
    let engine = Engine::new(&config).expect("a plain configuration");
    Module::from_file(&engine, wasm).expect("the guest compiles");
}

pub(crate) struct Vm {
    store: Store<Host>,
    create: TypedFunc<(u32, u32), ()>,
    request: TypedFunc<(u32, u32, u32), u32>,
    response: TypedFunc<(u32, u32, u32), u32>,
    done: TypedFunc<u32, u32>,
    log: TypedFunc<u32, ()>,
    delete: TypedFunc<u32, ()>,
    last_context: u32,
}

impl Vm {
    fn takes(&mut self, messages: Messages) {
        self.store.data_mut().messages = messages;
        self.store.data_mut().now += 1_000_000;
    }

    fn gives(&mut self) -> Messages {
        std::mem::take(&mut self.store.data_mut().messages)
    }
}

/// One exchange through a chain of VMs. Any answer but "go on" would be a mistake of the benchmark.
pub(crate) fn exchange(chain: &mut [Vm]) {
    let mut messages = Messages::fresh();
    for vm in chain.iter_mut() {
        vm.takes(messages);
        vm.last_context += 1;
        let (context, count) = (vm.last_context, vm.store.data().messages.request.len() as u32);
        vm.create.call(&mut vm.store, (context, 1)).expect("a context");
        let action = vm.request.call(&mut vm.store, (context, count, 1)).expect("an answer");
        assert_eq!(action, 0);
        messages = vm.gives();
    }
    for vm in chain.iter_mut().rev() {
        vm.takes(messages);
        let (context, count) = (vm.last_context, vm.store.data().messages.response.len() as u32);
        let action = vm.response.call(&mut vm.store, (context, count, 1)).expect("an answer");
        assert_eq!(action, 0);
        messages = vm.gives();
    }
    for vm in chain {
        vm.log.call(&mut vm.store, vm.last_context).expect("a callback");
        vm.done.call(&mut vm.store, vm.last_context).expect("a callback");
        vm.delete.call(&mut vm.store, vm.last_context).expect("a callback");
    }
}

fn memory(caller: &Caller<'_, Host>) -> Memory {
    caller.data().memory.expect("the guest exports its memory")
}

fn read<'a>(caller: &'a Caller<'_, Host>, ptr: u32, len: u32) -> &'a [u8] {
    &memory(caller).data(caller)[ptr as usize..][..len as usize]
}

/// The guest's bytes and the host, side by side.
fn read_with<'a>(caller: &'a mut Caller<'_, Host>, ptr: u32, len: u32) -> (&'a [u8], &'a mut Host) {
    let (data, host) = memory(caller).data_and_store_mut(caller);
    (&data[ptr as usize..][..len as usize], host)
}

fn write(caller: &mut Caller<'_, Host>, ptr: u32, bytes: &[u8]) {
    memory(caller).data_mut(caller)[ptr as usize..][..bytes.len()].copy_from_slice(bytes);
}

fn hand_out(caller: &mut Caller<'_, Host>, bytes: &[u8], ptr: u32, len: u32) {
    let allocate = caller.data().allocate.clone().expect("the guest has an allocator");
    let at = allocate.call(&mut *caller, bytes.len() as u32).expect("room");
    write(caller, at, bytes);
    write(caller, ptr, &at.to_le_bytes());
    write(caller, len, &(bytes.len() as u32).to_le_bytes());
}

fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    type C<'a> = Caller<'a, Host>;
    linker.func_wrap("env", "proxy_log", |_: C<'_>, _: u32, _: u32, _: u32| 0u32)?;
    linker.func_wrap("env", "proxy_set_effective_context", |_: C<'_>, _: u32| 0u32)?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut c: C<'_>, _: u32, _: u32, _: u32, p: u32, n: u32| {
            let configuration = Rc::clone(&c.data().configuration);
            hand_out(&mut c, configuration.as_bytes(), p, n);
            0u32
        },
    )?;
    linker.func_wrap("env", "proxy_get_current_time_nanoseconds", |mut c: C<'_>, to: u32| {
        let now = c.data().now;
        write(&mut c, to, &now.to_le_bytes());
        0u32
    })?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |mut c: C<'_>, map: u32, ptr: u32, len: u32, p: u32, n: u32| {
            let (name, host) = read_with(&mut c, ptr, len);
            let found = host.messages.map(map).iter().find(|(known, _)| known == name);
            let Some(value) = found.map(|(_, value)| value.clone()) else {
                return 1u32;
            };
            hand_out(&mut c, &value, p, n);
            0
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_replace_header_map_value",
        |mut c: C<'_>, map: u32, ptr: u32, len: u32, p: u32, n: u32| {
            let value = read(&c, p, n).to_vec();
            let (name, host) = read_with(&mut c, ptr, len);
            let fields = host.messages.map(map);
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value,
                None => fields.push((name.to_vec(), value)),
            }
            0u32
        },
    )?;
    link_shared(linker)
}

fn link_shared(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    type C<'a> = Caller<'a, Host>;
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |mut c: C<'_>, ptr: u32, len: u32, p: u32, n: u32, cas: u32| {
            let (key, host) = read_with(&mut c, ptr, len);
            let Some((value, number)) = host.shared.get(key).cloned() else {
                return 1u32;
            };
            hand_out(&mut c, &value, p, n);
            write(&mut c, cas, &number.to_le_bytes());
            0
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |mut c: C<'_>, ptr: u32, len: u32, p: u32, n: u32, cas: u32| {
            let value = read(&c, p, n).to_vec();
            let (key, host) = read_with(&mut c, ptr, len);
            match host.shared.get_mut(key) {
                Some((_, number)) if cas != 0 && *number != cas => 8u32,
                Some(kept) => {
                    *kept = (value, kept.1 + 1);
                    0
                }
                None => {
                    host.shared.insert(key.to_vec(), (value, 1));
                    0
                }
            }
        },
    )?;
    linker.func_wrap("env", "proxy_define_metric", |mut c: C<'_>, _: u32, _: u32, _: u32, to: u32| {
        c.data_mut().metrics.push(0);
        let id = c.data().metrics.len() as u32 - 1;
        write(&mut c, to, &id.to_le_bytes());
        0u32
    })?;
    linker.func_wrap("env", "proxy_increment_metric", |mut c: C<'_>, id: u32, by: i64| {
        let metric = &mut c.data_mut().metrics[id as usize];
        *metric = metric.wrapping_add_signed(by);
        0u32
    })?;
    linker.func_wrap("env", "proxy_record_metric", |mut c: C<'_>, id: u32, value: u64| {
        c.data_mut().metrics[id as usize] = value;
        0u32
    })?;
    Ok(())
}
