use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Simulator;
use super::http::{HttpRequest, Transport};
use crate::evidence::{Confirmation, Stated};
use crate::payment::{PayLink, ProviderStatus};
use crate::port::{
    Capabilities, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};
use crate::vocabulary::{Currency, PayLinkId};

/// The simulator as a gateway, in process: requests are signed and checked as they
/// would be over the wire. A slow answer is waited for by the simulator's clock; one that never
/// comes is [`GatewayError::TimedOut`] without a wait. Nothing is tried again.
#[derive(Debug, Clone)]
pub struct SimulatorGateway {
    simulator: Simulator,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Create<'a> {
    #[serde(rename = "entityID")]
    entity_id: &'a str,
    amount: i64,
    currency: &'a str,
    requester_url: &'a str,
    mode: &'a str,
    #[serde(rename = "externalTransactionID")]
    external_transaction_id: &'a str,
    description: &'a str,
    urls: CreateUrls<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateUrls<'a> {
    callback_url: &'a str,
    success_page_url: &'a str,
    failure_page_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_url: Option<&'a str>,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "responseCode")]
    response_code: String,
    #[serde(rename = "paylinkUrl")]
    paylink_url: String,
    #[serde(rename = "paylinkID")]
    paylink_id: PayLinkId,
}

#[derive(Deserialize)]
struct StatusAnswer {
    #[serde(rename = "paylinkID")]
    paylink_id: PayLinkId,
    status: ProviderStatus,
    amount: i64,
    #[serde(rename = "createdAt")]
    created_at: DateTime<Utc>,
}

impl SimulatorGateway {
    pub(super) fn new(simulator: Simulator) -> Self {
        Self { simulator }
    }

    async fn call(
        &self,
        method: &str,
        path: String,
        body: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, GatewayError> {
        let account = &self.simulator.account;
        let bare = path.split_once('?').map_or(path.as_str(), |(bare, _)| bare);
        let signature = account.signer.sign(bare, &body).to_hex();
        let headers = vec![
            ("IK-APPID".to_owned(), account.app_id.as_str().to_owned()),
            ("IK-SIGN".to_owned(), signature),
        ];
        let answer = self.simulator.handle(&HttpRequest {
            method: method.to_owned(),
            path,
            headers,
            body,
        });
        match answer.transport {
            Transport::Send => {}
            Transport::Delay(delay) => account.clock.sleep(delay).await,
            Transport::Hang | Transport::Disconnect => return Err(GatewayError::TimedOut),
        }
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            401 => Err(GatewayError::BadCredentials),
            429 => {
                let seconds = answer.header("retry-after").and_then(|it| it.parse().ok());
                let wait = seconds.map(|seconds: u64| Duration::from_secs(seconds.min(3600)));
                Err(GatewayError::RateLimited { wait })
            }
            // Only a simulator that is down answers so: nothing happened there.
            503 => Err(GatewayError::Unreachable),
            status @ 500.. => Err(GatewayError::Failed { status }),
            status => Err(GatewayError::Refused {
                reason: format!("HTTP {status}"),
            }),
        }
    }
}

#[async_trait]
impl PaymentGateway for SimulatorGateway {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::ikhokha().test_double();
        capabilities.refunds = self.simulator.account.settings.refunds;
        capabilities
    }

    async fn create_link(&self, request: &LinkRequest) -> Result<PayLink, GatewayError> {
        // Official samples differ on escaping the apostrophe, so none is sent.
        let description = request.description.as_str().replace('\'', "\u{2019}");
        let currency = request.amount.currency();
        let create = Create {
            entity_id: self.simulator.account.app_id.as_str(),
            amount: request.amount.minor(),
            currency: currency.code(),
            requester_url: &request.requester_url,
            mode: "live",
            external_transaction_id: request.reference.as_str(),
            description: &description,
            urls: CreateUrls {
                callback_url: &request.callback_url,
                success_page_url: &request.success_url,
                failure_page_url: &request.failure_url,
                cancel_url: request.cancel_url.as_deref(),
            },
        };
        let body = serde_json::to_vec(&create).map_err(|_| GatewayError::Unreadable)?;
        let answer = self
            .call("POST", "/public-api/v1/api/payment".to_owned(), body)
            .await?;
        let answer = answer.ok_or_else(|| GatewayError::Refused {
            reason: "HTTP 404".to_owned(),
        })?;
        let created: Created =
            serde_json::from_slice(&answer).map_err(|_| GatewayError::Unreadable)?;
        if created.response_code != "00" {
            return Err(GatewayError::Refused {
                reason: created.response_code,
            });
        }
        Ok(PayLink {
            id: created.paylink_id,
            url: Some(created.paylink_url.into()),
        })
    }

    async fn status(&self, query: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        let path = match query {
            StatusQuery::PayLink(link) => format!("/public-api/v1/api/getStatus/{link}"),
            // Our references need no percent-encoding.
            StatusQuery::Reference(reference) => {
                format!(
                    "/public-api/v1/api/getStatus/external?externalReference={}",
                    reference.as_str()
                )
            }
        };
        let Some(answer) = self.call("GET", path, Vec::new()).await? else {
            return Ok(None);
        };
        let answer: StatusAnswer =
            serde_json::from_slice(&answer).map_err(|_| GatewayError::Unreadable)?;
        Ok(Some(answer.into()))
    }

    async fn history(&self, from: NaiveDate, to: NaiveDate) -> Result<History, GatewayError> {
        let path = format!("/public-api/v1/api/payments/history?startDate={from}&endDate={to}");
        let answer = self
            .call("GET", path, Vec::new())
            .await?
            .ok_or(GatewayError::Unreadable)?;
        let listed: Vec<StatusAnswer> =
            serde_json::from_slice(&answer).map_err(|_| GatewayError::Unreadable)?;
        Ok(History {
            payments: listed.into_iter().map(Confirmation::from).collect(),
            unreadable: 0,
        })
    }

    async fn refund(&self, request: &RefundRequest) -> Result<(), GatewayError> {
        if !self.capabilities().refunds {
            return Err(GatewayError::NotSupported);
        }
        let path = format!("/ecomm/{}/refunds", request.pay_link);
        let body = json!({
            "amount": request.amount.minor(),
            "reason": request.reason.as_str(),
        });
        let answer = self
            .call("POST", path, body.to_string().into_bytes())
            .await?;
        let answer: RefundAnswer = answer
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or(GatewayError::Unreadable)?;
        match answer.status.as_str() {
            "SUCCESS" => Ok(()),
            _ => Err(GatewayError::Refused {
                reason: answer.message,
            }),
        }
    }
}

#[derive(Deserialize)]
struct RefundAnswer {
    status: String,
    #[serde(rename = "responseMessage")]
    message: String,
}

impl From<StatusAnswer> for Confirmation {
    fn from(answer: StatusAnswer) -> Self {
        Self {
            pay_link: Some(answer.paylink_id),
            reference: Stated::Nothing,
            status: answer.status,
            amount: Stated::from_minor(answer.amount, Currency::ZAR),
            currency: Stated::Nothing,
            method: None,
            created_at: Some(answer.created_at),
        }
    }
}
