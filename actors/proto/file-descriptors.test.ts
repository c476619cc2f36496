import protobuf from 'protobufjs';
import { expect, it } from 'vitest';
import { describeFiles } from './file-descriptors.ts';
import { loadService } from './protos.ts';

const SHARED = 'syntax = "proto3"; package shared.v1; message Point { double x = 1; }';
const OWN = `
  syntax = "proto3"; package own.v1; import "shared.proto";
  message Line {
    enum Kind { KIND_UNSPECIFIED = 0; }
    message End { Kind end_kind = 1; }
    optional double line_width = 1;
    oneof some_end { shared.v1.Point first_point = 2; End last_end = 3; }
    map<string, shared.v1.Point> named_points = 4;
    repeated End all_ends = 5;
  }
  service Lines { rpc Draw(Line) returns (shared.v1.Point); }`;

function rootOf(...texts: string[]): protobuf.Root {
  const root = new protobuf.Root();
  for (const text of texts) protobuf.parse(text, root);
  return root;
}

it('describes files as protoc does', async () => {
  const files = await describeFiles([rootOf(SHARED, OWN)]);
  const own = files.find((file) => file.package === 'own.v1')!;
  expect(own).toMatchObject({ dependency: ['shared_v1.proto'] });
  const [line] = own.messageType!;
  expect(
    line!.field!.map((field) => [
      field.name,
      field.typeName ?? '',
      Object.hasOwn(field, 'oneofIndex') ? field.oneofIndex : null,
    ]),
  ).toEqual([
    ['line_width', '', 1],
    ['first_point', '.shared.v1.Point', 0],
    ['last_end', '.own.v1.Line.End', 0],
    ['named_points', '.own.v1.Line.NamedPointsEntry', null],
    ['all_ends', '.own.v1.Line.End', null],
  ]);
  expect(line!.field![0]).toMatchObject({ proto3Optional: true });
  expect(line!.oneofDecl!.map(({ name }) => name)).toEqual(['some_end', '_line_width']);
  const entry = line!.nestedType!.find(({ name }) => name === 'NamedPointsEntry')!;
  expect(entry.field!.map(({ name, typeName }) => [name, typeName ?? ''])).toEqual([
    ['key', ''],
    ['value', '.shared.v1.Point'],
  ]);
  const end = line!.nestedType!.find(({ name }) => name === 'End')!;
  expect(end.field![0]).toMatchObject({ name: 'end_kind', typeName: '.own.v1.Line.Kind' });
});

it('shows what several roots know of a package as one file', async () => {
  const more = 'syntax = "proto3"; package shared.v1; message Size { double y = 1; }';
  const files = await describeFiles([rootOf(SHARED), rootOf(more), rootOf(SHARED)]);
  expect(files).toHaveLength(1);
  expect(files[0]!.messageType!.map(({ name }) => name)).toEqual(['Point', 'Size']);
});

it('shows a service’s own files as they are, and none that it does not import', async () => {
  const coordinator = loadService('ballast/v1/coordinator.proto', 'ballast.v1.CoordinatorService');
  const trainer = loadService('ballast/v1/classifier_trainer.proto', 'ballast.v1.ClassifierTrainerService');
  expect(trainer.methods.size).toBeGreaterThan(0); // it is loaded too, in the same package
  const files = await describeFiles([coordinator.root()], [coordinator.name]);
  expect(files.map(({ name }) => name).sort()).toEqual([
    'ballast/v1/coordinator.proto',
    'google/protobuf/duration.proto',
    'google/protobuf/empty.proto',
    'google/protobuf/field_mask.proto',
    'google/protobuf/struct.proto',
    'google/protobuf/timestamp.proto',
  ]);
  const [own] = files.filter(({ name }) => name === 'ballast/v1/coordinator.proto');
  expect(own!.service!.map(({ name }) => name)).toEqual(['CoordinatorService']);
  const names = own!.messageType!.map(({ name }) => name);
  expect(names).toContain('Run');
  expect(names).not.toContain('OpenRequest');
});
