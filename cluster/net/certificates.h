// Certificates of a cluster: an authority of its own, which signs one certificate for each machine and user. Keys are
// ECDSA on P-256; a certificate's organizational unit says whether it is a node's (may be an agent) or a user's.
#pragma once

#include <string>

#include "ir/support/result.h"

namespace jvmc::cluster {

inline constexpr const char* kNodeUnit = "node";
inline constexpr const char* kUserUnit = "user";

/// Where they lie, beside the cluster key.
struct CertificateFiles {
  explicit CertificateFiles(const std::string& folder);
  std::string authority;     ///< ca.crt: what the others' certificates must be signed by
  std::string authorityKey;  ///< ca.key: only where certificates are issued
  std::string certificate;   ///< identity.crt
  std::string key;           ///< identity.key
};

struct CertificateRequest {
  std::string name;  ///< of the machine or user
  bool isNode = true;
  int days = 825;  ///< from now
};

/// Makes the authority in `folder` unless there is one; true if it was made.
Result<bool> ensureAuthority(const std::string& folder);
/// Writes a new key and a certificate signed by the authority in `authorityFolder`, and ca.crt, to `folder`. Replaces
/// what is there.
Status issueCertificate(const std::string& authorityFolder, const std::string& folder,
                        const CertificateRequest& request);

}  // namespace jvmc::cluster
