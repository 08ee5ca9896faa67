//! DescribeAcls, CreateAcls, DeleteAcls; DescribeUserScramCredentials, AlterUserScramCredentials; SaslHandshake, SaslAuthenticate.

use super::{Call, Frame, RequestError, off_task, text};
use crate::broker::Broker;
use crate::error::number;
use crate::security::sasl::{AFTERWARDS, Answer, HandshakeError};
use crate::security::{
    AclBinding, AclError, AclFilter, CLUSTER, Operation, PatternType, Permission, ResourceType, UserChange,
};
use crate::server::session::Session;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError as E;
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_acls_response::AclCreationResult;
use kafka_protocol::messages::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_protocol::messages::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, CreateAclsRequest,
    CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse, DescribeAclsRequest, DescribeAclsResponse,
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::sync::Arc;
use std::time::Instant;

const NOT_AUTHORIZED: &str = "Cluster authorization failed.";

fn may(broker: &Broker, call: &Call, operation: Operation) -> bool {
    call.allows(broker, operation, ResourceType::Cluster, CLUSTER)
}

fn owned(text: Option<StrBytes>) -> Option<String> {
    text.map(|t| t.to_string())
}

pub(super) async fn describe_acls(
    broker: Arc<Broker>,
    call: &Call,
    request: DescribeAclsRequest,
) -> Result<DescribeAclsResponse, RequestError> {
    let failed = |code: E, reason: &str| {
        DescribeAclsResponse::default().with_error_code(code.code()).with_error_message(Some(text(reason)))
    };
    if !may(&broker, call, Operation::Describe) {
        return Ok(failed(E::ClusterAuthorizationFailed, NOT_AUTHORIZED));
    }
    let filter = AclFilter {
        resource_type: request.resource_type_filter,
        resource_name: owned(request.resource_name_filter),
        pattern_type: request.pattern_type_filter,
        principal: owned(request.principal_filter),
        host: owned(request.host_filter),
        operation: request.operation,
        permission: request.permission_type,
    };
    Ok(match off_task(move || broker.authorizer().acls(&filter)).await? {
        Ok(acls) => DescribeAclsResponse::default().with_resources(by_resource(acls)),
        Err(AclError::Disabled) => failed(E::SecurityDisabled, "No Authorizer is configured on the broker"),
        Err(error) => failed(error.code(), &error.to_string()),
    })
}

/// Rules come sorted, those of a resource one after the other.
fn by_resource(acls: Vec<AclBinding>) -> Vec<DescribeAclsResource> {
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    for acl in acls {
        let description = AclDescription::default()
            .with_principal(text(&acl.principal))
            .with_host(text(&acl.host))
            .with_operation(acl.operation.code())
            .with_permission_type(acl.permission.code());
        match resources.last_mut() {
            Some(last)
                if last.resource_type == acl.resource_type.code()
                    && last.resource_name.as_str() == acl.resource_name
                    && last.pattern_type == acl.pattern_type.code() =>
            {
                last.acls.push(description);
            }
            _ => resources.push(
                DescribeAclsResource::default()
                    .with_resource_type(acl.resource_type.code())
                    .with_resource_name(text(&acl.resource_name))
                    .with_pattern_type(acl.pattern_type.code())
                    .with_acls(vec![description]),
            ),
        }
    }
    resources
}

pub(super) async fn create_acls(
    broker: Arc<Broker>,
    call: &Call,
    request: CreateAclsRequest,
) -> Result<CreateAclsResponse, RequestError> {
    let result = |error: Option<(E, String)>| match error {
        None => AclCreationResult::default().with_error_message(None),
        Some((code, reason)) => {
            AclCreationResult::default().with_error_code(code.code()).with_error_message(Some(text(&reason)))
        }
    };
    let n = request.creations.len();
    let all = |code: E, reason: &str| vec![result(Some((code, reason.to_owned()))); n];
    let results = if may(&broker, call, Operation::Alter) {
        let read: Vec<_> = request.creations.iter().map(binding).collect();
        let good: Vec<_> = read.iter().filter_map(|r| r.as_ref().ok()).cloned().collect();
        match off_task(move || broker.authorizer().create(good)).await? {
            Err(error) => all(error.code(), &error.to_string()),
            Ok(created) => {
                let mut created = created.into_iter();
                let one = |read: Result<AclBinding, String>| match read {
                    Err(reason) => result(Some((E::InvalidRequest, reason))),
                    Ok(_) => {
                        let error = created.next().and_then(Result::err);
                        result(error.map(|e| (e.code(), e.to_string())))
                    }
                };
                read.into_iter().map(one).collect()
            }
        }
    } else {
        all(E::ClusterAuthorizationFailed, NOT_AUTHORIZED)
    };
    Ok(CreateAclsResponse::default().with_results(results))
}

/// A rule from its numbers.
fn binding(creation: &AclCreation) -> Result<AclBinding, String> {
    let resource_type =
        ResourceType::from_code(creation.resource_type).ok_or_else(|| match creation.resource_type {
            6 => {
                "resource type DELEGATION_TOKEN is not supported: there are no delegation tokens here".into()
            }
            7 => "resource type USER is not supported: it is about delegation tokens, which are not here"
                .into(),
            1 => "Invalid resourceType ANY".into(),
            _ => String::from("Invalid resourceType UNKNOWN"),
        })?;
    let pattern_type = PatternType::from_code(creation.resource_pattern_type).ok_or(
        match creation.resource_pattern_type {
            1 => "Invalid patternType ANY",
            2 => "Invalid patternType MATCH",
            _ => "Invalid patternType UNKNOWN",
        },
    )?;
    let operation = Operation::from_code(creation.operation).ok_or_else(|| match creation.operation {
        1 => "Invalid operation ANY".to_owned(),
        13 | 14 => "operations on delegation tokens are not supported: there are none here".to_owned(),
        15 => "operation TWO_PHASE_COMMIT is not supported".to_owned(),
        _ => "Invalid operation UNKNOWN".to_owned(),
    })?;
    let permission =
        Permission::from_code(creation.permission_type).ok_or(match creation.permission_type {
            1 => "Invalid permissionType ANY",
            _ => "Invalid permissionType UNKNOWN",
        })?;
    Ok(AclBinding {
        resource_type,
        resource_name: creation.resource_name.to_string(),
        pattern_type,
        principal: creation.principal.to_string(),
        host: creation.host.to_string(),
        operation,
        permission,
    })
}

pub(super) async fn delete_acls(
    broker: Arc<Broker>,
    call: &Call,
    request: DeleteAclsRequest,
) -> Result<DeleteAclsResponse, RequestError> {
    let failed = |code: E, reason: &str| {
        DeleteAclsFilterResult::default().with_error_code(code.code()).with_error_message(Some(text(reason)))
    };
    let n = request.filters.len();
    if !may(&broker, call, Operation::Alter) {
        let results = vec![failed(E::ClusterAuthorizationFailed, NOT_AUTHORIZED); n];
        return Ok(DeleteAclsResponse::default().with_filter_results(results));
    }
    let filters = request.filters.into_iter().map(|filter| AclFilter {
        resource_type: filter.resource_type_filter,
        resource_name: owned(filter.resource_name_filter),
        pattern_type: filter.pattern_type_filter,
        principal: owned(filter.principal_filter),
        host: owned(filter.host_filter),
        operation: filter.operation,
        permission: filter.permission_type,
    });
    let filters: Vec<_> = filters.collect();
    let results = match off_task(move || broker.authorizer().delete(&filters)).await? {
        Err(error) => vec![failed(error.code(), &error.to_string()); n],
        Ok(results) => results
            .into_iter()
            .map(|result| match result {
                Err(error) => failed(error.code(), &error.to_string()),
                Ok(acls) => DeleteAclsFilterResult::default()
                    .with_error_message(None)
                    .with_matching_acls(acls.iter().map(deleted).collect()),
            })
            .collect(),
    };
    Ok(DeleteAclsResponse::default().with_filter_results(results))
}

fn deleted(acl: &AclBinding) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_error_message(None)
        .with_resource_type(acl.resource_type.code())
        .with_resource_name(text(&acl.resource_name))
        .with_pattern_type(acl.pattern_type.code())
        .with_principal(text(&acl.principal))
        .with_host(text(&acl.host))
        .with_operation(acl.operation.code())
        .with_permission_type(acl.permission.code())
}

pub(super) fn describe_users(
    broker: &Broker,
    call: &Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let response = DescribeUserScramCredentialsResponse::default().with_error_message(None);
    if !may(broker, call, Operation::Describe) {
        return response
            .with_error_code(E::ClusterAuthorizationFailed.code())
            .with_error_message(Some(text(NOT_AUTHORIZED)));
    }
    let wanted: Option<Vec<String>> =
        request.users.map(|users| users.iter().map(|u| u.name.to_string()).collect());
    let results = broker.users().describe(wanted.as_deref()).into_iter().map(|(user, credentials)| {
        let result =
            DescribeUserScramCredentialsResult::default().with_user(text(&user)).with_error_message(None);
        match credentials {
            Ok(credentials) => {
                let infos = credentials.into_iter().map(|(mechanism, iterations)| {
                    CredentialInfo::default()
                        .with_mechanism(mechanism as i8)
                        .with_iterations(i32::try_from(iterations).unwrap_or(i32::MAX))
                });
                result.with_credential_infos(infos.collect())
            }
            Err((code, reason)) => {
                result.with_error_code(code.code()).with_error_message(Some(text(&reason)))
            }
        }
    });
    response.with_results(results.collect())
}

pub(super) async fn alter_users(
    broker: Arc<Broker>,
    call: &Call,
    request: AlterUserScramCredentialsRequest,
) -> Result<AlterUserScramCredentialsResponse, RequestError> {
    let result = |user: &str, error: Option<(E, String)>| {
        AlterUserScramCredentialsResult::default()
            .with_user(text(user))
            .with_error_code(number(error.as_ref().map(|(code, _)| *code)))
            .with_error_message(error.map(|(_, reason)| text(&reason)))
    };
    let deletions = request.deletions.into_iter().map(|deletion| UserChange::Delete {
        user: deletion.name.to_string(),
        mechanism: deletion.mechanism,
    });
    let upsertions = request.upsertions.into_iter().map(|upsertion| UserChange::Set {
        user: upsertion.name.to_string(),
        mechanism: upsertion.mechanism,
        iterations: upsertion.iterations,
        salt: upsertion.salt.to_vec(),
        salted_password: upsertion.salted_password.to_vec(),
    });
    let changes: Vec<_> = deletions.chain(upsertions).collect();
    let mut users: Vec<String> = changes.iter().map(|c| c.user().to_owned()).collect();
    users.sort();
    users.dedup();
    let all = |code: E, reason: &str| -> Vec<_> {
        users.iter().map(|user| result(user, Some((code, reason.to_owned())))).collect()
    };
    let results = if may(&broker, call, Operation::Alter) {
        match off_task(move || broker.users().alter(changes)).await? {
            Ok(results) => results.into_iter().map(|(user, r)| result(&user, r.err())).collect(),
            Err(error) => all(E::KafkaStorageError, &error.to_string()),
        }
    } else {
        all(E::ClusterAuthorizationFailed, NOT_AUTHORIZED)
    };
    Ok(AlterUserScramCredentialsResponse::default().with_results(results))
}

pub(super) async fn sasl_handshake(
    broker: &Broker,
    call: &Call,
    request: SaslHandshakeRequest,
) -> SaslHandshakeResponse {
    let response = SaslHandshakeResponse::default();
    if !call.client.listener.protocol.is_sasl() {
        return response.with_error_code(E::IllegalSaslState.code());
    }
    let config = &broker.config().security;
    let mechanisms = config.sasl_mechanisms.iter().map(|m| StrBytes::from_static_str(m.name())).collect();
    let result = call.client.sasl.lock().handshake(config, &request.mechanism, call.version, Instant::now());
    let error = match result {
        Ok(()) => return response.with_mechanisms(mechanisms),
        Err(error) => error,
    };
    // A client that is authenticated and asks again at a wrong time stays so.
    if !call.client.is_authenticated() || error == HandshakeError::Unsupported {
        fail(broker, &call.client).await;
    }
    match error {
        HandshakeError::Unsupported => {
            tracing::info!(session = %call.client, mechanism = %request.mechanism, "SASL mechanism is not enabled");
            response.with_error_code(E::UnsupportedSaslMechanism.code()).with_mechanisms(mechanisms)
        }
        HandshakeError::IllegalState => response.with_error_code(E::IllegalSaslState.code()),
    }
}

/// Holds a failed client up for a moment, and has its connection closed after the answer.
async fn fail(broker: &Broker, session: &Session) {
    broker.counters().authenticated(false);
    tokio::time::sleep(broker.config().security.failed_authentication_delay).await;
    session.close_after_answer();
}

/// Takes a token, away from the tasks that serve sockets: checking passwords is slow on purpose.
async fn take_token(
    broker: &Arc<Broker>,
    session: &Arc<Session>,
    token: Bytes,
) -> Result<Answer, RequestError> {
    let answer = {
        let (broker, session) = (Arc::clone(broker), Arc::clone(session));
        off_task(move || session.sasl.lock().token(&broker.config().security, broker.users(), &token)).await?
    };
    match &answer {
        Answer::Done(principal, ..) => {
            session.authenticate(principal.clone());
            broker.counters().authenticated(true);
            tracing::debug!(%session, "authenticated");
        }
        Answer::Failed(reason) => {
            tracing::info!(%session, reason, "authentication failed");
            fail(broker, session).await;
        }
        Answer::IllegalState(_) if !session.is_authenticated() => fail(broker, session).await,
        Answer::IllegalState(_) | Answer::Continue(_) => {}
    }
    Ok(answer)
}

pub(super) async fn sasl_authenticate(
    broker: Arc<Broker>,
    call: &Call,
    request: SaslAuthenticateRequest,
) -> Result<SaslAuthenticateResponse, RequestError> {
    let answer = match call.client.listener.protocol.is_sasl() {
        true => take_token(&broker, &call.client, request.auth_bytes).await?,
        false => Answer::IllegalState(AFTERWARDS),
    };
    let response = SaslAuthenticateResponse::default().with_error_message(None);
    let failed = |code: E, reason: &str| {
        SaslAuthenticateResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(reason)))
    };
    Ok(match answer {
        Answer::Continue(token) => response.with_auth_bytes(Bytes::from(token)),
        Answer::Done(_, token, lifetime_ms) => {
            response.with_auth_bytes(Bytes::from(token)).with_session_lifetime_ms(lifetime_ms)
        }
        Answer::IllegalState(reason) => failed(E::IllegalSaslState, reason),
        Answer::Failed(reason) => failed(E::SaslAuthenticationFailed, &reason),
    })
}

/// A token without a request around it, after SaslHandshake 0; so is the answer. A failure has none: the connection ends.
pub(super) async fn raw_token(
    broker: Arc<Broker>,
    session: Arc<Session>,
    token: Bytes,
) -> Result<Frame, RequestError> {
    match take_token(&broker, &session, token).await? {
        Answer::Continue(token) | Answer::Done(_, token, _) => {
            let mut frame = BytesMut::with_capacity(4 + token.len());
            frame.put_i32(token.len() as i32);
            frame.extend_from_slice(&token);
            Ok(vec![crate::wire::frame::Piece::Bytes(frame.freeze())])
        }
        Answer::Failed(reason) => Err(RequestError::Sasl(reason)),
        Answer::IllegalState(reason) => Err(RequestError::Sasl(reason.to_owned())),
    }
}
