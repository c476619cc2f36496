/**
 * Rows of docs/configuration.md: defaults and what is allowed come from the zod schemas, meanings from the comments above
 * their fields in the source.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import ts from 'typescript';
import { z } from 'zod';
import { describeSchema } from '../config/validation.ts';

export interface FieldRow {
  /** As `synthesis.guidance.scale`. */
  readonly path: string;
  /** JSON, or `required`. */
  readonly default: string;
  readonly allowed: string;
  readonly meaning: string;
}

/** A schema's expression in the source. */
interface Source {
  readonly file: ts.SourceFile;
  readonly node: ts.Expression;
  /** Comment above the variable that the expression was found in. */
  readonly comment: string;
}

/**
 * Every field of the schema that `variable` names in `file`, groups opened up, save those in `closed` (by path), which
 * get one row each.
 */
export function configRows(
  schema: z.ZodType,
  file: string,
  variable: string,
  closed: readonly string[] = [],
): FieldRow[] {
  return rowsOf(schema, variableIn(parse(file), variable), '', closed);
}

function rowsOf(
  schema: z.core.$ZodType,
  source: Source | null,
  path: string,
  closed: readonly string[],
): FieldRow[] {
  const object = unwrap(schema);
  if (!(object instanceof z.ZodObject)) return [];
  const properties = source === null ? new Map<string, Property>() : propertiesOf(source);
  return Object.entries(object.shape as Record<string, z.ZodType>).flatMap(([name, field]) => {
    const property = properties.get(name);
    const own = path === '' ? name : `${path}.${name}`;
    const inner = unwrap(field);
    const isGroup = inner instanceof z.ZodObject || inner instanceof z.ZodDiscriminatedUnion;
    const row = rowOf(own, field, property?.comment || property?.value?.comment || '');
    if (!isGroup || closed.includes(own)) return [row];
    const rows =
      inner instanceof z.ZodObject
        ? rowsOf(inner, property?.value ?? null, own, closed)
        : unionRows(inner, property?.value ?? null, own, closed);
    return isNullable(field) || inner instanceof z.ZodDiscriminatedUnion ? [row, ...rows] : rows;
  });
}

/** Fields of every form of a union; the field that tells the forms apart first, once. */
function unionRows(
  union: z.ZodDiscriminatedUnion,
  source: Source | null,
  path: string,
  closed: readonly string[],
): FieldRow[] {
  const forms = source === null ? [] : unionForms(source);
  const found = new Map<string, FieldRow[]>();
  union.options.forEach((option, i) => {
    for (const row of rowsOf(option, forms[i] ?? null, path, closed))
      found.set(row.path, [...(found.get(row.path) ?? []), row]);
  });
  return [...found.values()].map((rows) => ({
    ...rows[0]!,
    allowed: [...new Set(rows.map((row) => row.allowed))].join(', '),
  }));
}

function rowOf(path: string, field: z.ZodType, meaning: string): FieldRow {
  const inner = unwrap(field);
  const initial = field.safeParse(undefined);
  const isGroup = inner instanceof z.ZodObject || inner instanceof z.ZodDiscriminatedUnion;
  const none = isNullable(field) ? 'null, or a group' : 'a group';
  return {
    path,
    default: initial.success ? JSON.stringify(initial.data) : 'required',
    allowed: isGroup ? none : describeSchema(field),
    meaning,
  };
}

interface Property {
  readonly comment: string;
  readonly value: Source | null;
}

function propertiesOf({ file, node }: Source): Map<string, Property> {
  const literal = resolveTo(file, node, ts.isObjectLiteralExpression);
  const found = new Map<string, Property>();
  for (const property of literal?.node.properties ?? []) {
    if (!property.name || !literal) continue;
    const value = ts.isPropertyAssignment(property) ? property.initializer : null;
    found.set(property.name.getText(literal.file), {
      comment: commentAbove(literal.file, property),
      value: value && baseOf(literal.file, value),
    });
  }
  return found;
}

function unionForms(source: Source): Source[] {
  const list = resolveTo(source.file, source.node, ts.isArrayLiteralExpression);
  return (list?.node.elements ?? []).map((node) => ({ file: list!.file, node, comment: '' }));
}

/** The innermost thing that a chain of calls begins with: `a.b(c).d()` → `a`'s declaration, or `a.b(c)` itself for z. */
function baseOf(file: ts.SourceFile, expression: ts.Expression): Source {
  let node = expression;
  while (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    const owner = node.expression.expression;
    if (ts.isIdentifier(owner) && owner.text === 'z') return { file, node, comment: '' };
    node = owner;
  }
  return ts.isIdentifier(node) ? variableIn(file, node.text) : { file, node, comment: '' };
}

/** The first argument of the schema's own call (`z.strictObject({…})`) that is a literal of the wanted kind. */
function resolveTo<Literal extends ts.Expression>(
  file: ts.SourceFile,
  node: ts.Expression,
  isWanted: (node: ts.Node) => node is Literal,
): { file: ts.SourceFile; node: Literal } | null {
  const base = baseOf(file, node);
  if (!ts.isCallExpression(base.node)) return null;
  const literal = base.node.arguments.find(isWanted);
  return literal ? { file: base.file, node: literal } : null;
}

/** The declaration of a name, in the file or in the one that it is imported from. */
function variableIn(file: ts.SourceFile, name: string): Source {
  for (const statement of file.statements) {
    if (ts.isVariableStatement(statement))
      for (const declaration of statement.declarationList.declarations)
        if (declaration.name.getText(file) === name && declaration.initializer) {
          const base = baseOf(file, declaration.initializer);
          return { ...base, comment: commentAbove(file, statement) };
        }
    if (ts.isImportDeclaration(statement) && ts.isStringLiteral(statement.moduleSpecifier)) {
      const bindings = statement.importClause?.namedBindings;
      const imports = bindings && ts.isNamedImports(bindings) ? bindings.elements : [];
      if (imports.some((element) => element.name.text === name))
        return variableIn(parse(resolve(dirname(file.fileName), statement.moduleSpecifier.text)), name);
    }
  }
  throw new Error(`${file.fileName}: no ${name}`);
}

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2023, true);
}

/** The text of the last documentation comment before a node, on one line. */
function commentAbove(file: ts.SourceFile, node: ts.Node): string {
  const ranges = ts.getLeadingCommentRanges(file.text, node.getFullStart()) ?? [];
  const comments = ranges.map(({ pos, end }) => file.text.slice(pos, end));
  const last = comments.findLast((text) => text.startsWith('/**')) ?? '';
  return last
    .replace(/^\/\*\*|\*\/$/g, '')
    .replace(/^\s*\* ?/gm, '')
    .replace(/\s+/g, ' ')
    .trim();
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault
  )
    inner = inner.unwrap();
  return inner;
}

function isNullable(schema: z.ZodType): boolean {
  return schema.safeParse(null).success;
}
