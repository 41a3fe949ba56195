//! Uses on a real control plane, with the definitions of Azure IoT Operations and no more rights than the
//! chart's Role grants.

use std::time::Duration;

use crate::{
    control_plane,
    support::{Options, Site, World, every_use, users},
};

#[tokio::test]
async fn each_use_in_an_example_of_every_kind_is_listed_and_prevents_a_deletion() {
    needs!(the_control_plane);
    let site = Site::on(control_plane::shared().await).await;
    users::install(&site.kube).await;
    let mut options = Options::default();
    options.usages.interval = Duration::from_millis(200);
    let mut world = World::start_on(site, options).await;
    every_use::is_seen_and_prevents_a_deletion(&mut world).await;
}
