//! Hosts of clouds: which registry is whose.
//!
//! A token of a cloud goes to a registry for its name alone, so the whole name has to be right: to whoever owns
//! `evil.azurecr.io.example.com` it would be a gift.

/// A registry of a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CloudRegistry {
    /// Amazon's, of an account in a region.
    Ecr {
        /// Twelve digits.
        account: String,
        /// `eu-central-1`.
        region: String,
        /// With validated cryptography.
        fips: bool,
        /// Of a host that is reached by IPv6 too.
        dual: bool,
    },
    /// Amazon's public one.
    EcrPublic,
    /// Google's, old and new.
    Google,
    /// Microsoft's.
    Acr {
        /// The registry.
        host: String,
    },
}

impl CloudRegistry {
    /// Whose registry a host is. One with a port is nobody's.
    pub(crate) fn of(host: &str) -> Option<Self> {
        let is_label = |text: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        if !host.split('.').all(is_label) {
            return None;
        }
        if matches!(host, "public.ecr.aws" | "ecr-public.aws.com") {
            return Some(CloudRegistry::EcrPublic);
        }
        if host == "gcr.io" {
            return Some(CloudRegistry::Google);
        }
        if let Some(name) = host.strip_suffix(".gcr.io").or_else(|| host.strip_suffix("-docker.pkg.dev")) {
            return (!name.contains('.')).then_some(CloudRegistry::Google);
        }
        let acr = [".azurecr.io", ".azurecr.cn", ".azurecr.de", ".azurecr.us"];
        if let Some(name) = acr.iter().find_map(|domain| host.strip_suffix(domain)) {
            // A replica of one region has a name of its own below the registry's.
            return (name.matches('.').count() <= 1).then(|| CloudRegistry::Acr { host: host.to_owned() });
        }
        ecr(host)
    }
}

/// `ACCOUNT.dkr.ecr.REGION.amazonaws.com` and its kin.
fn ecr(host: &str) -> Option<CloudRegistry> {
    let (account, rest) = host.split_once('.')?;
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest = rest.strip_prefix("dkr.").or_else(|| rest.strip_prefix("dkr-"))?;
    let (service, rest) = rest.split_once('.')?;
    let fips = match service {
        "ecr" => false,
        "ecr-fips" => true,
        _ => return None,
    };
    let (region, domain) = rest.split_once('.')?;
    let dual = match domain {
        "on.aws" | "on.amazonwebservices.com.cn" => true,
        "amazonaws.com" | "amazonaws.com.cn" | "amazonaws.eu" | "sc2s.sgov.gov" | "c2s.ic.gov"
        | "cloud.adc-e.uk" | "csp.hci.ic.gov" => false,
        _ => return None,
    };
    let region = region.to_owned();
    Some(CloudRegistry::Ecr { account: account.to_owned(), region, fips, dual })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(host: &str) -> String {
        match CloudRegistry::of(host) {
            Some(CloudRegistry::Ecr { account, region, fips, dual }) => format!(
                "ecr {account} {region}{}{}",
                if fips { " fips" } else { "" },
                if dual { " dual" } else { "" }
            ),
            Some(CloudRegistry::EcrPublic) => "public".to_owned(),
            Some(CloudRegistry::Google) => "google".to_owned(),
            Some(CloudRegistry::Acr { host }) => format!("acr {host}"),
            None => "-".to_owned(),
        }
    }

    #[test]
    fn whose_is_it() {
        for (host, expected) in [
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "ecr 123456789012 eu-central-1"),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr 123456789012 cn-north-1"),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "ecr 123456789012 us-gov-west-1 fips"),
            ("123456789012.dkr-ecr.us-west-2.on.aws", "ecr 123456789012 us-west-2 dual"),
            ("public.ecr.aws", "public"),
            ("gcr.io", "google"),
            ("eu.gcr.io", "google"),
            ("europe-west3-docker.pkg.dev", "google"),
            ("mine.azurecr.io", "acr mine.azurecr.io"),
            ("mine.westeurope.azurecr.io", "acr mine.westeurope.azurecr.io"),
            ("mine.azurecr.cn", "acr mine.azurecr.cn"),
            // Look-alikes.
            ("12345678901.dkr.ecr.eu-central-1.amazonaws.com", "-"),
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example", "-"),
            ("123456789012.dkr.ecr.eu.central.amazonaws.com", "-"),
            ("evil-123456789012.dkr.ecr.eu-central-1.amazonaws.com", "-"),
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com:5000", "-"),
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.comx", "-"),
            ("123456789012.dkr.ecr.evil@x.amazonaws.com", "-"),
            ("public.ecr.aws.evil.example", "-"),
            ("xgcr.io", "-"),
            ("gcr.io.evil.example", "-"),
            ("evil.example.gcr.io", "-"),
            ("pkg.dev", "-"),
            ("evil.pkg.dev", "-"),
            ("europe-west3-docker.pkg.dev.evil.example", "-"),
            ("x-docker.pkg.dev:443", "-"),
            ("evil.azurecr.io.evil.example", "-"),
            ("azurecr.io", "-"),
            (".azurecr.io", "-"),
            ("mineazurecr.io", "-"),
            ("mine.azurecr.io:443", "-"),
            ("a.b.c.azurecr.io", "-"),
            ("MINE.azurecr.io", "-"),
            ("mine.azurecr.io/", "-"),
            ("mcr.microsoft.com", "-"),
            ("docker.io", "-"),
            ("localhost:5000", "-"),
            ("", "-"),
        ] {
            assert_eq!(shown(host), expected, "{host}");
        }
    }
}
