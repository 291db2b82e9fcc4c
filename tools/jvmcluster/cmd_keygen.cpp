// jvmcluster keygen: makes a cluster's key and certificates, which connections between machines need.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "cluster/net/certificates.h"
#include "cluster/net/key.h"
#include "cluster/net/tls.h"
#include "tools/common/command_line.h"
#include "tools/jvmcluster/commands.h"

namespace jvmc::tool {

namespace {

constexpr int kDaysMax = 3650;

struct KeygenOptions {
  std::string keyFile = cluster::defaultKeyPath();
  std::string out;
  cluster::CertificateRequest request{.name = ""};
  bool user = false;
};

std::string hostName() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0 || !*name) return "localhost";
  return name;
}

/// The folder gets the cluster's key too, unless it is there.
Status copyKey(const cluster::ClusterKey& key, const std::string& path) {
  if (!std::filesystem::exists(path)) return key.write(path);
  auto present = cluster::ClusterKey::read(path);
  if (!present.ok()) return present.error();
  if (*present == key) return Unit{};
  return Error{ErrorCode::kRefused, fmt::format("{} is the key of another cluster", path)};
}

Status generate(const KeygenOptions& options) {
  const std::string home = std::filesystem::path(options.keyFile).parent_path().string();
  const std::string out = options.out.empty() ? home : options.out;
  auto key = cluster::ClusterKey::readOrCreate(options.keyFile);
  if (!key.ok()) return key.error();
  auto made = cluster::ensureAuthority(home);
  if (!made.ok()) return made.error();
  if (auto issued = cluster::issueCertificate(home, out, options.request); !issued.ok()) return issued.error();
  const std::string copy = (std::filesystem::path(out) / "key").string();
  if (!options.out.empty())
    if (auto copied = copyKey(*key, copy); !copied.ok()) return copied.error();
  if (auto usable = cluster::TlsIdentity::read(out); !usable.ok()) return usable.error();

  if (*made) fmt::print("made the cluster's authority: {}/ca.crt, {}/ca.key\n", home, home);
  fmt::print("made the certificate of the {} '{}', for {} days: {}/identity.crt, {}/identity.key\n",
             options.request.isNode ? "node" : "user", options.request.name, options.request.days, out, out);
  if (!options.out.empty())
    fmt::print("copy this folder to that machine, as ~/.config/jvmcluster, and remove it here; ca.key stays here\n");
  return Unit{};
}

}  // namespace

void addKeygen(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<KeygenOptions>();
  options->request.name = hostName();
  CLI::App* command = app.add_subcommand("keygen", "Make the key and the certificates of a cluster");
  command->add_option("--name", options->request.name, "Of the machine or user the certificate is for")
      ->check([](const std::string& text) {
        const bool fits = !text.empty() && text.size() <= 64;  // what a certificate may hold (RFC 5280)
        return fits ? std::string() : std::string("must have 1 to 64 characters");
      })
      ->capture_default_str();
  command->add_option("--out", options->out,
                      "Folder for the certificate of another machine or user (default: that of --key-file)");
  command->add_flag("--user", options->user,
                    "The certificate of a user: may run programs and give commands, but not be an agent");
  command->add_option("--days", options->request.days, "How long it is valid")
      ->check(CLI::Range(1, kDaysMax))
      ->capture_default_str();
  command->add_option("--key-file", options->keyFile, "Key of the cluster; its folder holds the authority")
      ->envname("JVMC_KEY_FILE")
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  jvmcluster keygen                                   the authority, and a certificate for this machine\n"
      "  jvmcluster keygen --name node2 --out /tmp/node2     one for another machine\n"
      "  jvmcluster keygen --user --name ann --out /tmp/ann  one for somebody who only runs programs\n"
      "Connections that leave a machine are encrypted (TLS 1.3), and both sides must show a certificate of the "
      "cluster.\n"
      "Certificates are renewed by making them again.");
  command->callback([&common, options, &action] {
    action = [&common, options] {
      options->request.isNode = !options->user;
      auto done = generate(*options);
      if (done.ok()) return int(kOk);
      printError(common, done.error().message);
      return exitCodeOf(done.error());
    };
  });
}

}  // namespace jvmc::tool
