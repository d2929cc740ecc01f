class Vivarium < Formula
  desc "Serves Python functions, each in a WebAssembly sandbox"
  homepage "@URL@"
  version "@VERSION@"
  license "Apache-2.0"

  on_macos do
    on_arm do
      url "@FILE_darwin_arm64@"
      sha256 "@SUM_darwin_arm64@"
    end
    on_intel do
      url "@FILE_darwin_amd64@"
      sha256 "@SUM_darwin_amd64@"
    end
  end

  on_linux do
    on_arm do
      url "@FILE_linux_arm64@"
      sha256 "@SUM_linux_arm64@"
    end
    on_intel do
      url "@FILE_linux_amd64@"
      sha256 "@SUM_linux_amd64@"
    end
  end

  def install
    bin.install "vivarium"
    man1.install Dir["man/man1/*"]
    generate_completions_from_executable(bin/"vivarium", "completion")
  end

  test do
    (testpath/"hello/main.py").write "def handler(event, context):\n    return {'body': 'hello'}\n"
    assert_equal "hello", shell_output("#{bin}/vivarium run hello 2>/dev/null").strip
  end
end
