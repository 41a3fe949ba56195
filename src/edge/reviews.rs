//! Asks the API server about our callers: who a token belongs to, and what its user may do.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, api::PostParams};

use super::{Edge, EdgeError};
use crate::model::{ACCESS_GROUP, Identity, Permission, Verb};

impl Edge {
    /// The user of a token, if the token is valid for this audience. Uses a TokenReview.
    pub async fn review_token(&self, token: &str, audience: &str) -> Result<Option<Identity>, EdgeError> {
        let reviews: Api<TokenReview> = Api::all(self.open.clone());
        let spec = TokenReviewSpec { audiences: Some(vec![audience.to_owned()]), token: token.to_owned() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = self.call(reviews.create(&PostParams::default(), &review)).await?;
        let status = answer.status.unwrap_or_default();
        // An API server without support for audiences returns none, and has checked none.
        let is_for_us = status.audiences.unwrap_or_default().iter().any(|named| named == audience);
        let is_known = status.authenticated == Some(true) && is_for_us;
        Ok(status.user.filter(|_| is_known).and_then(identity))
    }

    /// Whether the cluster grants a user a permission in the instance's namespace. Uses a
    /// SubjectAccessReview.
    pub async fn review_access(
        &self,
        user: &Identity,
        verb: Verb,
        permission: &Permission,
    ) -> Result<bool, EdgeError> {
        let reviews: Api<SubjectAccessReview> = Api::all(self.open.clone());
        let spec = ResourceAttributes {
            namespace: Some(self.namespace.clone()),
            verb: Some(verb.as_str().to_owned()),
            group: Some(ACCESS_GROUP.to_owned()),
            resource: Some(permission.resource.as_str().to_owned()),
            name: permission.name.clone(),
            ..ResourceAttributes::default()
        };
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let spec = SubjectAccessReviewSpec {
            resource_attributes: Some(spec),
            user: some(&user.name),
            uid: some(&user.uid),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.clone()),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = self.call(reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
    }
}

/// None if the user has no name.
fn identity(user: UserInfo) -> Option<Identity> {
    let name = user.username.filter(|name| !name.is_empty())?;
    let extra: BTreeMap<_, _> = user.extra.unwrap_or_default();
    Some(Identity {
        name,
        uid: user.uid.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
        extra,
        ..Identity::default()
    })
}
