//! A server of a test on loopback: a thread for each connection. Dropping it closes all
//! and ends them.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// See the module.
pub(super) struct Listening {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<(TcpStream, JoinHandle<()>)>>,
    stopping: AtomicBool,
}

impl Listening {
    /// Listens on a free port, and has each connection served. What goes wrong with one is
    /// no fault of the server's: clients go away.
    pub(super) fn start(
        serve: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a port");
        let address = listener.local_addr().expect("a listener has an address");
        let (shared, serve) = (Arc::new(Shared::default()), Arc::new(serve));
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let Ok(handle) = stream.try_clone() else { continue };
                let serve = Arc::clone(&serve);
                let serving = thread::spawn(move || {
                    drop(serve(&stream));
                    // The handle above keeps the socket open: say that it is over.
                    drop(stream.shutdown(Shutdown::Both));
                });
                accepting.connections.lock().unwrap().push((handle, serving));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes all connections, and returns once nobody is served any more.
    pub(super) fn stop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // The listener is blocked in accept: this wakes it.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        let connections = std::mem::take(&mut *self.shared.connections.lock().unwrap());
        for (stream, serving) in connections {
            drop(stream.shutdown(Shutdown::Both));
            drop(serving.join());
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop();
    }
}
