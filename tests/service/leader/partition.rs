//! A holder that is cut off from the API server.

use super::*;

/// A way to the API server that can be closed.
struct Way {
    address: SocketAddr,
    is_open: Arc<AtomicBool>,
    closed: Arc<tokio::sync::Notify>,
}

impl Way {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, is_open) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let closed = Arc::new(tokio::sync::Notify::new());
        let way = Self { address, is_open: is_open.clone(), closed: closed.clone() };
        tokio::spawn(async move {
            let mut lines = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((mut here, _)) = listener.accept() => {
                        let is_open = is_open.clone();
                        lines.spawn(async move {
                            if is_open.load(Ordering::SeqCst) {
                                let mut there = TcpStream::connect(server).await.unwrap();
                                let _ = copy_bidirectional(&mut here, &mut there).await;
                            } else {
                                // As behind a firewall: no answer at all.
                                std::future::pending::<()>().await;
                            }
                        });
                    }
                    () = closed.notified() => lines.abort_all(),
                }
            }
        });
        way
    }

    fn close(&self) {
        self.is_open.store(false, Ordering::SeqCst);
        self.closed.notify_one();
    }

    fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
        self.closed.notify_one();
    }
}

/// A service that comes to the API server by a way of its own, and another that goes there directly.
async fn apart() -> (Way, World, Beside) {
    let mut site = Site::start().await;
    let direct = std::fs::read_to_string(&site.kubeconfig).unwrap();
    let server = site.cluster().url();
    let way = Way::to(server.socket_addrs(|| None).unwrap()[0]).await;
    let own = format!("https://{}", way.address);
    let (straight, kubeconfig) = (site.kubeconfig.clone(), site.directory().join("its-own"));
    std::fs::write(&kubeconfig, direct.replace(server.as_str().trim_end_matches('/'), &own)).unwrap();
    site.kubeconfig = kubeconfig;
    let mut world = World::start_on(site, Options { vault_timeout: PATIENCE, ..Options::default() }).await;
    create_vault_secret(&mut world.client, "v").await.unwrap();
    let mut second = world.beside_as(&database(&world, "second"), &straight).await;
    stands_by(&mut second.client).await;
    (way, world, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_without_the_api_server_stops_writing_before_the_other_takes_over() {
    needs!(the_double);
    let (way, world, mut second) = apart().await;
    // Every version that comes to be, by its value: first or second.
    let written: Arc<Mutex<Vec<(Instant, bool)>>> = Arc::default();
    let noted = written.clone();
    world.vault.witness(move |happened| {
        if let Happened::Version(version) = happened {
            let is_second = version.name.starts_with("by-the-second");
            noted.lock().unwrap().push((Instant::now(), is_second));
        }
    });
    way.close();
    let closed = Instant::now();
    // A write that takes its time begins all the while: what began in time ends in time, too.
    world
        .vault
        .faults()
        .add(FaultRule::new(Fault::latency(Duration::from_secs(9))).on(Operation::SecretSet).named("v"));
    let writes = async {
        let mut under_way = JoinSet::new();
        loop {
            let mut client = world.client.clone();
            under_way.spawn(async move {
                client.add_vault_secret_version(add_version("v", "by the first")).await
            });
            sleep(Duration::from_millis(250)).await;
        }
    };
    let takes_over = until_leading(&mut second.client, "by-the-second");
    tokio::select! {
        _ = writes => {}
        _ = takes_over => {}
    }
    // What was still under way anywhere has come to its end.
    sleep(Duration::from_secs(10)).await;
    let written = written.lock().unwrap().clone();
    let of_first: Vec<_> =
        written.iter().filter(|(_, is_second)| !is_second).map(|(at, _)| *at - closed).collect();
    let first_of_second = written.iter().find(|(_, is_second)| *is_second).expect("it took over").0 - closed;
    let last_of_first = *of_first.last().expect("the first wrote in its time");
    assert!(Duration::from_secs(6) < last_of_first, "it went on for a while: {of_first:?}");
    assert!(last_of_first < first_of_second, "{last_of_first:?} {first_of_second:?}");
    assert!(first_of_second < EXPIRED, "{first_of_second:?}");

    let refused = told(&create_vault_secret(&mut world.client.clone(), "late").await.unwrap_err());
    assert_eq!(refused.code, Code::Unavailable);
    assert!(refused.reason.starts_with("EDGE_"), "{}: {}", refused.reason, refused.message);
    way.open();
    until_so("it hears of the other", async || {
        let late = create_vault_secret(&mut world.client.clone(), "late").await;
        told(&late.unwrap_err()).reason == "NOT_LEADER"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_write_at_the_edge_is_cancelled_before_the_lease_expires() {
    needs!(the_double, the_direct_engine);
    let mut world = World::start_with(Options { edge_timeout: PATIENCE * 2, ..Options::default() }).await;
    world.seed("v", "value").await;
    create_vault_secret(&mut world.client, "it-leads").await.unwrap();
    // From the next renewal on, nothing about the Lease is answered; and a first write takes for ever.
    let hangs = FaultRule::new(Fault::Hang);
    world.cluster().faults().add(hangs.clone().resource("leases"));
    world.cluster().faults().add(hangs.verb("patch").named("a"));
    let begun = Instant::now();
    let asked = CreateSyncedSecretRequest { wait: None, ..create("a", vec![existing("k", "v")]) };
    world.client.create_synced_secret(asked).await.unwrap();
    let cut = world.until("a", |secret| secret.state() == State::Failed).await;
    let took = begun.elapsed();
    assert!(Duration::from_secs(10) < took && took < Duration::from_secs(15), "{took:?}");
    let why = &condition_of(&cut.conditions, "Synced").unwrap().message;
    assert!(why.contains("cancelled"), "{why}");
    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
}
