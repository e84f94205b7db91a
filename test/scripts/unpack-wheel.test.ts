import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/setup/unpack-wheel.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'rondo-unpack-'));

/** Writes a whole wheel, one whose record belies a file, and one that leads out of its folder. */
const writeWheels = `
import base64, hashlib, sys, zipfile
def write(path, files, lie=None):
    with zipfile.ZipFile(path, "w") as wheel:
        record = ""
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256((lie or {}).get(name, text).encode()).digest()).rstrip(b"=").decode()
            record += f"{name},sha256={digest},{len(text)}\\n"
            wheel.writestr(name, text)
        wheel.writestr("t.dist-info/METADATA", "Name: t\\nRequires-Dist: a>=1; extra == \\"and-cuda\\"\\nRequires-Dist: b\\nRequires-Dist: c<2; extra == 'other'\\n\\nbody\\n")
        wheel.writestr("t.dist-info/RECORD", record)
files = {"t/lib.so": "library", "t/include/c/api.h": "header", "t/python/big.so": "unwanted"}
write(sys.argv[1] + "/whole.whl", files)
write(sys.argv[1] + "/damaged.whl", files, {"t/lib.so": "other"})
write(sys.argv[1] + "/escaping.whl", {"../out.so": "library"})
`;

const python = (...args: string[]) => spawnSync('python3', args, { encoding: 'utf8' });
const unpack = (wheel: string, ...patterns: string[]) =>
  python(script, 'unpack', join(folder, wheel), join(folder, `from-${wheel}`), ...patterns);

beforeAll(() => {
  expect(python('-c', writeWheels, folder).stderr).toBe('');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('unpack-wheel.py', () => {
  it('takes what is asked for and nothing else', () => {
    expect(unpack('whole.whl', 't/lib.so', 't/include/*')).toMatchObject({ status: 0, stderr: '' });
    const to = join(folder, 'from-whole.whl', 't');
    expect(readFileSync(join(to, 'lib.so'), 'utf8')).toBe('library');
    expect(readFileSync(join(to, 'include/c/api.h'), 'utf8')).toBe('header');
    expect(existsSync(join(to, 'python'))).toBe(false);
  });

  it('refuses a member that is not what the wheel records', () => {
    const { status, stderr } = unpack('damaged.whl', 't/*');
    expect(status).toBe(1);
    expect(stderr).toContain('t/lib.so is damaged');
  });

  it('refuses a member that leads out of the folder', () => {
    expect(unpack('escaping.whl', '*.so')).toMatchObject({ status: 1 });
    expect(existsSync(join(folder, 'out.so'))).toBe(false);
  });

  it('says when a wheel holds nothing of what is asked for', () => {
    const { status, stderr } = unpack('whole.whl', 'elsewhere/*');
    expect(status).toBe(1);
    expect(stderr).toContain('holds none of elsewhere/*');
  });

  it('says that a file is no wheel, without a stack', () => {
    writeFileSync(join(folder, 'short.whl'), readFileSync(join(folder, 'whole.whl')).subarray(0, 200));
    for (const [wheel, why] of [
      ['short.whl', 'is no wheel, or was cut short'],
      ['absent.whl', 'No such file'],
    ] as const) {
      const { status, stderr } = unpack(wheel, '*');
      expect(status).toBe(1);
      expect(stderr).toContain(why);
      expect(stderr).not.toContain('Traceback');
    }
  });

  it('lists the requirements of one extra', () => {
    const { stdout } = python(script, 'extra', join(folder, 'whole.whl'), 'and-cuda');
    expect(stdout).toBe('a>=1\n');
  });
});
