# What a build needs, from the pins that xtask reads too: see docs/nix.md.
{
  description = "FFmpeg as one sandboxed WebAssembly module";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      read = file: builtins.fromTOML (builtins.readFile file);
      tools = (read ./ffmpeg-src/tools.toml).source;

      # FFmpeg and the libraries that it is built on: each file of ffmpeg-src/ but for those of tools and tests.
      libraries = builtins.filter (name: name != "tools" && name != "tests") (
        map (lib.removeSuffix ".toml") (
          builtins.filter (lib.hasSuffix ".toml") (builtins.attrNames (builtins.readDir ./ffmpeg-src))
        )
      );
      library = name: read (./ffmpeg-src + "/${name}.toml");
      ffmpeg = library "ffmpeg";
      version = "${ffmpeg.source.version}-${toString ffmpeg.revision}";
      profiles = builtins.attrNames (read ./profiles/shipped.toml);

      # nixpkgs' systems, as the pins name them.
      hosts = {
        x86_64-linux = "x86_64-linux";
        aarch64-linux = "aarch64-linux";
        x86_64-darwin = "x86_64-macos";
        aarch64-darwin = "aarch64-macos";
      };
      forEachSystem = make: builtins.mapAttrs (system: host: make nixpkgs.legacyPackages.${system} host) hosts;

      # The archive of a pinned source that has an address, or is a crate, as it is.
      archive =
        pkgs: host: source:
        let
          fits = origin: (origin ? url || origin ? crate) && (origin.host or host) == host;
          found = builtins.filter fits source.origin;
          origin = builtins.head found;
        in
        if found == [ ] then
          null
        else if origin ? url then
          pkgs.fetchurl {
            inherit (origin) url;
            sha256 = origin.sha256 or source.sha256;
          }
        else
          pkgs.fetchCrate {
            pname = origin.crate;
            inherit (origin) version;
            unpack = false;
            sha256 = origin.sha256 or source.sha256;
          };

      # An official binary release, unpacked, and on Linux made to find its libraries.
      release =
        pkgs: host: name:
        pkgs.stdenvNoCC.mkDerivation {
          pname = name;
          inherit (tools.${name}) version;
          src = archive pkgs host tools.${name};
          nativeBuildInputs = lib.optionals pkgs.stdenv.hostPlatform.isLinux [ pkgs.autoPatchelfHook ];
          buildInputs = lib.optionals pkgs.stdenv.hostPlatform.isLinux [
            pkgs.stdenv.cc.cc.lib
            pkgs.ncurses
            pkgs.zlib
            pkgs.libxml2
          ];
          dontConfigure = true;
          dontBuild = true;
          dontStrip = true;
          installPhase = "cp --recursive . $out";
        };

      # Sources that builds take, in one folder: the digest of each decides what it is.
      mirror =
        pkgs: host:
        pkgs.linkFarmFromDrvs "afmpeg-sources" (
          map (
            name:
            let
              found = archive pkgs host (library name).source;
            in
            if found == null then throw "ffmpeg-src/${name}.toml has no address" else found
          ) libraries
        );

      # No release of the pinned Binaryen is pinned for every system; xtask refuses another version.
      binaryen =
        pkgs: host:
        if archive pkgs host tools.binaryen == null then pkgs.binaryen else release pkgs host "binaryen";

      environment = pkgs: host: {
        AFMPEG_MIRROR = mirror pkgs host;
        BINARYEN_PATH = binaryen pkgs host;
        WASI_SDK_PATH = release pkgs host "wasi-sdk";
      };

      xtask =
        pkgs:
        pkgs.rustPlatform.buildRustPackage {
          pname = "afmpeg-xtask";
          inherit version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          cargoBuildFlags = [ "--package=xtask" ];
          doCheck = false;
        };

      module =
        pkgs: host: profile:
        pkgs.stdenv.mkDerivation (
          environment pkgs host
          // {
            pname = "afmpeg-${profile}";
            inherit version;
            src = self;
            nativeBuildInputs = [
              pkgs.nodejs
              (xtask pkgs)
            ];
            dontConfigure = true;
            buildPhase = ''
              AFMPEG_CACHE_DIR=$TMPDIR/cache xtask --root "$PWD" build --profile ${profile} --offline --jobs "$NIX_BUILD_CORES"
            '';
            installPhase = ''
              mkdir $out
              cp artifacts/${profile}.* $out/
            '';
          }
        );
    in
    {
      packages = forEachSystem (pkgs: host: lib.genAttrs profiles (module pkgs host) // { xtask = xtask pkgs; });

      # The shell has no C compiler for WebAssembly on PATH: xtask calls the one in WASI_SDK_PATH.
      devShells = forEachSystem (
        pkgs: host: {
          default = pkgs.mkShell (
            environment pkgs host
            // {
              packages = [
                pkgs.cargo
                pkgs.clippy
                pkgs.gnumake
                pkgs.nodejs
                pkgs.python3
                pkgs.rustc
                pkgs.rustfmt
              ];
            }
          );
        }
      );

      checks = forEachSystem (pkgs: host: { smallest = module pkgs host "oz-lgpl"; });
    };
}
