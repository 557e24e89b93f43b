-- A registry as the first version left it. Never edit this file: it shows that later versions can still read it.
CREATE TABLE migrations (name TEXT NOT NULL PRIMARY KEY, applied TEXT NOT NULL);
INSERT INTO migrations VALUES ('m001_initial', '2026-01-01T00:00:00+00:00');
CREATE TABLE identities (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL COLLATE NOCASE UNIQUE,
    class_word TEXT NOT NULL,
    base_model TEXT NOT NULL,
    base_fingerprint TEXT NOT NULL,
    method JSON NOT NULL,
    photo_hashes JSON NOT NULL,
    created TEXT NOT NULL,
    tags JSON NOT NULL,
    note TEXT NOT NULL
);
CREATE TABLE runs (
    id INTEGER NOT NULL PRIMARY KEY,
    identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    created TEXT NOT NULL,
    seconds REAL NOT NULL,
    resumed_from INTEGER NOT NULL,
    settings JSON NOT NULL,
    losses JSON NOT NULL,
    scores JSON NOT NULL
);
CREATE INDEX ix_runs_identity_id ON runs (identity_id);
CREATE TABLE renders (
    id INTEGER NOT NULL PRIMARY KEY,
    created TEXT NOT NULL,
    path TEXT NOT NULL,
    prompt TEXT NOT NULL,
    seed INTEGER NOT NULL,
    settings JSON NOT NULL
);
CREATE TABLE render_people (
    render_id INTEGER NOT NULL REFERENCES renders (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    identity_id TEXT NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    PRIMARY KEY (render_id, position)
);
CREATE INDEX ix_render_people_identity_id ON render_people (identity_id);
INSERT INTO identities VALUES ('0123456789abcdef0123456789abcdef', 'Ada', 'woman', 'builtin', 'sd1:0123456789abcdef',
    '{"method": "sefi", "steps": 300}', '[]', '2026-01-01T00:00:00+00:00', '["family"]', 'first of all');
INSERT INTO runs VALUES (1, '0123456789abcdef0123456789abcdef', '2026-01-01T00:00:00+00:00', 61.5, 0,
    '{"steps": 2}', '[[0.5, 0.25], [0.4, 0.2]]', '{}');
INSERT INTO renders VALUES (1, '2026-01-01T00:00:00+00:00', '/pictures/ada.png', 'at the sea', 7, '{"steps": 20}');
INSERT INTO render_people VALUES (1, 0, '0123456789abcdef0123456789abcdef');
