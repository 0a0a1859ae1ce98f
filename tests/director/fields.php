<?php
// Prints which variables the form of a host or service offers: fields.php TYPE PROPERTIES
use Icinga\Application\Cli;
use Icinga\Module\Director\Db;
use Icinga\Module\Director\Objects\IcingaObject;
use Icinga\Module\Director\Web\Form\IcingaObjectFieldLoader;

require_once 'Icinga/Application/Cli.php';
[, $type, $properties] = $argv;
$app = Cli::start('/usr/share/icingaweb2', '/etc/icingaweb2');
$app->getModuleManager()->loadEnabledModules();
$db = Db::fromResourceName('director_db');
$object = IcingaObject::createByType($type, (array) json_decode($properties), $db);
$loader = new IcingaObjectFieldLoader($object);
$elements = [];
foreach ($loader->getFields() as $name => $field) {
    $elements[$name] = new Zend_Form_Element($name);
}
// The form leaves out by this method what its filter hides.
$filter = new ReflectionMethod($loader, 'removeFilteredFields');
$filter->setAccessible(true);
echo json_encode(array_keys($filter->invoke($loader, $elements)));
