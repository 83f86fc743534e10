"""How a database of studies is laid out: one SQLite file, times as seconds since 1970."""

from __future__ import annotations

VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS studies (
    study TEXT NOT NULL,            -- name of the study
    variant TEXT NOT NULL,          -- '' is the study as it is, 'full' and so on override it
    spec TEXT NOT NULL,             -- JSON: the whole study, defaults filled in
    frozen TEXT NOT NULL,           -- SHA-256 of hypotheses and analysis at the first run
    frozen_spec TEXT NOT NULL,      -- JSON: hypotheses and analysis as they were then
    first_run REAL NOT NULL,
    facts TEXT NOT NULL,            -- JSON: classes, images and labelled pixels by split, ...
    PRIMARY KEY (study, variant)
);
CREATE TABLE IF NOT EXISTS changes ( -- of what was frozen, after the first run
    study TEXT NOT NULL,
    variant TEXT NOT NULL,
    number INTEGER NOT NULL,        -- 1, 2, ...
    time REAL NOT NULL,
    frozen TEXT NOT NULL,           -- SHA-256 of what it was changed to
    frozen_spec TEXT NOT NULL,
    PRIMARY KEY (study, variant, number)
);
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY,           -- hash of all that its metrics follow from
    fit TEXT NOT NULL,              -- hash of all that its model follows from
    choices TEXT NOT NULL,          -- JSON: recipe, data, points, scorings, seed, hashes of inputs
    state TEXT NOT NULL,            -- missing | running | done | failed
    error TEXT,                     -- one line
    trace TEXT,
    owner TEXT,                     -- of the lease: a runner
    heartbeat REAL,                 -- of the lease
    attempts INTEGER NOT NULL DEFAULT 0,  -- leases that ended without a result
    host TEXT,
    started REAL,
    finished REAL,
    fit_seconds REAL,
    predict_seconds REAL,
    facts TEXT                      -- JSON: places learned from, epochs, device, notes, ...
);
CREATE TABLE IF NOT EXISTS members ( -- which runs a study consists of
    study TEXT NOT NULL,
    variant TEXT NOT NULL,
    position INTEGER NOT NULL,      -- of the arm in the design
    arm TEXT NOT NULL,              -- 'link.area=disk, points.n=500'
    seed INTEGER NOT NULL,
    levels TEXT NOT NULL,           -- JSON: level by factor, both as text
    run TEXT NOT NULL REFERENCES runs(run),
    PRIMARY KEY (study, variant, arm, seed)
);
CREATE TABLE IF NOT EXISTS metrics (
    run TEXT NOT NULL,
    split TEXT NOT NULL,            -- train | val | test
    scoring TEXT NOT NULL,          -- 'standard' and those of the study; 'training' for the loss
    name TEXT NOT NULL,             -- mean_iou, oa, iou, ...; see metrics.METRICS
    class TEXT NOT NULL,            -- name of the class, '' where it is of all
    value REAL,                     -- NULL where nothing could be counted
    PRIMARY KEY (run, split, scoring, name, class)
);
CREATE TABLE IF NOT EXISTS counts (
    run TEXT NOT NULL,
    split TEXT NOT NULL,
    reference TEXT NOT NULL,        -- what was counted: metrics.name_reference of a scoring
    image TEXT NOT NULL,
    block TEXT NOT NULL,            -- the image's group, or its own name
    counts TEXT NOT NULL,           -- JSON [class][class + 1]: pixels by reference and by map,
                                    -- classes as in facts.classes; the last column is unmapped
    PRIMARY KEY (run, split, reference, image)
);
CREATE TABLE IF NOT EXISTS curves (
    run TEXT NOT NULL,
    fit TEXT NOT NULL,              -- which training of the run, where a recipe has several
    epoch INTEGER NOT NULL,
    name TEXT NOT NULL,             -- loss, lr, mean_iou, ...
    value REAL,
    PRIMARY KEY (run, fit, epoch, name)
);
CREATE TABLE IF NOT EXISTS versions (
    run TEXT NOT NULL,
    name TEXT NOT NULL,             -- python, torch, ...; device, threads, machine
    version TEXT,
    PRIMARY KEY (run, name)
);
"""

MISSING, RUNNING, DONE, FAILED = "missing", "running", "done", "failed"
