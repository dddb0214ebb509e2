# SPDX-License-Identifier: MIT OR Apache-2.0
# Copyright (c) 2026 the afmpeg authors

# Stands in for nixpkgs where there is no network: just the attributes that ../../flake.nix uses, so that a wrong name fails.
# Derivations are real ones of Nix, that nobody can build.
{
  outputs =
    { self }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      hasSuffix =
        suffix: text:
        let
          start = builtins.stringLength text - builtins.stringLength suffix;
        in
        start >= 0 && builtins.substring start (-1) text == suffix;
      lib = {
        inherit hasSuffix;
        removeSuffix =
          suffix: text:
          if hasSuffix suffix text then
            builtins.substring 0 (builtins.stringLength text - builtins.stringLength suffix) text
          else
            text;
        optionals = condition: list: if condition then list else [ ];
        genAttrs =
          names: make:
          builtins.listToAttrs (
            map (name: {
              inherit name;
              value = make name;
            }) names
          );
      };
      packages =
        system:
        let
          derive =
            arguments:
            derivation (
              arguments
              // {
                inherit system;
                name = arguments.name or "${arguments.pname}-${arguments.version}";
                builder = "/bin/false";
              }
            );
          named = name: derive { inherit name; };
          # Arguments that a derivation's environment cannot hold as they are.
          plain = arguments: builtins.removeAttrs arguments [ "cargoLock" ];
        in
        builtins.listToAttrs (
          map
            (name: {
              inherit name;
              value = named name;
            })
            [
              "autoPatchelfHook"
              "binaryen"
              "cargo"
              "clippy"
              "gnumake"
              "libxml2"
              "ncurses"
              "nodejs"
              "python3"
              "rustc"
              "rustfmt"
              "zlib"
            ]
        )
        // {
          fetchurl =
            { url, sha256 }:
            assert builtins.stringLength sha256 == 64;
            derive {
              name = baseNameOf url;
              inherit url sha256;
            };
          fetchCrate =
            {
              pname,
              version,
              unpack,
              sha256,
            }:
            assert !unpack && builtins.stringLength sha256 == 64;
            derive { inherit pname version sha256; };
          linkFarmFromDrvs = name: entries: derive { inherit name entries; };
          mkShell = arguments: derive (plain arguments // { name = "shell"; });
          rustPlatform.buildRustPackage =
            arguments:
            assert builtins.pathExists arguments.cargoLock.lockFile;
            derive (plain arguments);
          stdenv = {
            cc.cc.lib = named "libstdcxx";
            hostPlatform.isLinux = hasSuffix "linux" system;
            mkDerivation = derive;
          };
          stdenvNoCC.mkDerivation = derive;
        };
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs systems packages;
    };
}
