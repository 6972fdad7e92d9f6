//! AU-15: the VM dies between a request's headers and its body, and the configuration changes meanwhile: nothing passes that must not.

use std::{path::PathBuf, sync::LazyLock, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use wayside_proof::{Answer, Door, Proxy, Upstream};

use crate::{
    hmac::{SECRET, chunk, provider, webhook, with_environment},
    signed::{Line, door},
};

static MORTAL: LazyLock<PathBuf> = LazyLock::new(|| crate::module("wayside-proof-mortal-auth"));

const CONTENT: &str = r#"{"id": "evt_1"}"#;
const OTHER: &str = r#"{"id": "evt_2"}"#;
/// Envoy makes no new VM within a second or two of the last one's death: until then it answers 503.
const RELOAD: Duration = Duration::from_secs(10);

fn end(content: &str) -> String {
    format!("{}0\r\n\r\n", chunk(content))
}

/// The status, if there is one: a connection may also just end, and Envoy leaves some without an answer.
async fn status_of(line: &mut Line) -> Option<u16> {
    timeout(Duration::from_secs(3), line.status()).await.ok()?.ok()
}

async fn ask(proxy: &Proxy, name: &str, request: &str) -> anyhow::Result<Option<u16>> {
    let mut line = Line::to(proxy.address(name)?).await?;
    line.write(request).await?;
    Ok(status_of(&mut line).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn au_15_what_was_held_when_its_vm_died_never_passes() -> anyhow::Result<()> {
    let Some(envoy) = crate::envoy("AU-15, a VM that dies") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let door = door("mortal", upstream.address, &MORTAL, &provider());
    let door = with_environment(door, &json!({ "HOOKS": SECRET }));
    // One worker, so that those that are held and the one that kills are in one VM.
    let proxy = Proxy::start(&envoy, 1, &[door]).await?;
    let vms = proxy.vms().await?;
    for round in 0..4 {
        let good = |what: &str, more: &str| webhook(&format!("{what}-{round}"), CONTENT, more);
        let whole = format!("{}{}", good("first", "")?, end(CONTENT));
        let status = ask(&proxy, "mortal", &whole).await?;
        ensure!(status == Some(200), "before it dies: {status:?}");
        let passed = upstream.requests();
        // Good ones and bad ones, before any of their content and after some of it.
        let mut held = Vec::new();
        for (number, content) in [CONTENT, OTHER, CONTENT, OTHER].into_iter().enumerate() {
            let mut line = Line::to(proxy.address("mortal")?).await?;
            line.write(&good(&format!("held-{number}"), "")?).await?;
            let (first, rest) = content.split_at(if number < 2 { 0 } else { 4 });
            if !first.is_empty() {
                line.write(&chunk(first)).await?;
            }
            held.push((line, rest));
        }
        // They are there: what comes later on the one worker is answered.
        let probe = ask(&proxy, "mortal", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").await?;
        ensure!(probe == Some(401), "a stranger: {probe:?}");
        let killer = if round % 2 == 0 {
            format!("{}{}", good("killer", "X-Die: now\r\n")?, end(CONTENT))
        } else {
            format!("{}{}", good("killer", "X-Die: later\r\n")?, end(CONTENT))
        };
        let killed = ask(&proxy, "mortal", &killer).await?;
        ensure!(killed != Some(200), "the one that killed it: {killed:?}");
        for (line, rest) in &mut held {
            // Its connection may have ended.
            drop(line.write(&end(rest)).await);
            let status = status_of(line).await;
            ensure!(status != Some(200), "round {round}, held: {status:?}");
        }
        let meanwhile = ask(&proxy, "mortal", &format!("{}{}", good("meanwhile", "")?, end(OTHER))).await?;
        ensure!(meanwhile != Some(200), "bad content without a VM: {meanwhile:?}");
        ensure!(upstream.requests() == passed, "{} passed", upstream.requests() - passed);
        let there_is_another = async {
            loop {
                match ask(&proxy, "mortal", &whole).await? {
                    Some(503) => sleep(Duration::from_millis(100)).await,
                    status => return anyhow::Ok(status),
                }
            }
        };
        let again = timeout(RELOAD, there_is_another).await.context("a new VM")??;
        ensure!(again == Some(401), "what was used before, in the new VM: {again:?}");
    }
    let died = proxy.vms().await? - vms;
    ensure!(died >= 4, "{died} VMs were made anew");
    Ok(())
}

/// The door with this secret, of several configurations that differ in their rules too.
fn version(upstream: &Upstream, secret: &str, number: u64) -> Door {
    let mut provider = provider();
    provider["max_body"] = json!(1000 + number);
    with_environment(
        door("changes", upstream.address, &crate::HEADER_AUTH, &provider),
        &json!({ "HOOKS": secret }),
    )
}

async fn changed(proxy: &Proxy, stat: &str, to: u64) -> anyhow::Result<()> {
    let until = async {
        while proxy.stat(stat).await? < to
            || proxy.stat("listener_manager.total_listeners_warming").await? > 0
        {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(60), until).await.context("Envoy takes its listeners")?
}

#[tokio::test(flavor = "multi_thread")]
async fn au_15_while_the_configuration_changes_nothing_passes_that_must_not() -> anyhow::Result<()> {
    const ANOTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let Some(envoy) = crate::envoy("AU-15, a configuration that changes") else { return Ok(()) };
    let _busy = crate::QUIET.read().await;
    let upstream = Upstream::always(Answer::Status(200)).await?;
    let proxy = Proxy::start_reloadable(&envoy, 2, &[version(&upstream, SECRET, 0)]).await?;
    let (mut good, mut passed) = (0_u64, 0_u64);
    for round in 1..=4 {
        let name = |what: &str| format!("{what}-{round}");
        let (mut fine, mut wrong) =
            (Line::to(proxy.address("changes")?).await?, Line::to(proxy.address("changes")?).await?);
        fine.write(&webhook(&name("fine"), CONTENT, "")?).await?;
        wrong.write(&webhook(&name("wrong"), CONTENT, "")?).await?;
        wrong.write(&chunk(&OTHER[..4])).await?;
        // Others come all the while.
        let modified = proxy.stat("listener_manager.listener_modified").await?;
        proxy.offer(&[version(&upstream, SECRET, round)])?;
        for number in 0..20 {
            let bad = format!("{}{}", webhook(&name(&format!("bad-{number}")), CONTENT, "")?, end(OTHER));
            let status = ask(&proxy, "changes", &bad).await?;
            ensure!(status == Some(401), "bad content: {status:?}");
            let request =
                format!("{}{}", webhook(&name(&format!("good-{number}")), CONTENT, "")?, end(CONTENT));
            let status = ask(&proxy, "changes", &request).await?;
            ensure!(status == Some(200), "good content: {status:?}");
            good += 1;
        }
        changed(&proxy, "listener_manager.listener_modified", modified + 1).await?;
        wrong.write(&end(&OTHER[4..])).await?;
        let status = status_of(&mut wrong).await;
        ensure!(status != Some(200), "held since before the change, with other content: {status:?}");
        fine.write(&end(CONTENT)).await?;
        passed += u64::from(status_of(&mut fine).await == Some(200));
    }
    ensure!(upstream.requests() == good + passed, "{} passed, {good} and {passed}", upstream.requests());

    // A configuration that is refused changes nothing; one with another secret does.
    let mut broken = version(&upstream, SECRET, 9);
    let text = &mut broken.native[0]["typed_config"]["config"]["configuration"]["value"];
    *text = Value::from(r#"{"version": 1, "defaults": {"require": "none"}, "allow_everybody": true}"#);
    proxy.offer(&[broken])?;
    changed(&proxy, "listener_manager.lds.update_rejected", 1).await?;
    let stranger = ask(&proxy, "changes", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").await?;
    ensure!(stranger == Some(401), "after a configuration that is none: {stranger:?}");
    let modified = proxy.stat("listener_manager.listener_modified").await?;
    proxy.offer(&[version(&upstream, ANOTHER, 9)])?;
    changed(&proxy, "listener_manager.listener_modified", modified + 1).await?;
    let old = format!("{}{}", webhook("old", CONTENT, "")?, end(CONTENT));
    let status = ask(&proxy, "changes", &old).await?;
    ensure!(status == Some(401), "with the secret that was: {status:?}");
    ensure!(upstream.requests() == good + passed, "{} passed", upstream.requests());
    Ok(())
}
