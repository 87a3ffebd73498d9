//! Paths, header names and failure reasons of the API (wire-facts part 5).

/// The path below which the API lies.
pub const BASE: &str = "/api/v1";

/// The node that issues tokens for event connections (EVENTS 4.0.1 step 1).
pub const AUTH_TOKENS: &str = "/api/v1/authTokens";

/// The header that carries a token (EVENTS 4.0.1 step 2).
pub const TOKEN_HEADER: &str = "X-Cisco-CMS-Auth-Token";

/// The list of CDR receivers (CDR guide, section 2).
pub const CDR_RECEIVERS: &str = "/api/v1/system/cdrReceivers";

/// The media type of answers.
pub const XML: &str = "text/xml";

/// The media type of request bodies.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The path of the emulator's test-only API; no real server has it. It makes happen what the real API has no way for
/// (who speaks, who presents, what an endpoint records).
pub const TEST_BASE: &str = "/emulator/v1";
