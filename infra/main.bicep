// Everything but the event subscriptions, which need functions to point to: events.bicep.
//
// A plain dialect, on purpose: no types of our own, no functions, no imports, every module named. With any of these the
// compiler writes symbolic names, in which scanners of templates see nothing and say that all is well.
targetScope = 'resourceGroup'

// --- Where it lies, and what it is called

@description('A short word for this deployment, such as production.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Where it lies. Not every region has Flex Consumption: az functionapp list-flexconsumption-locations.')
@metadata({ azd: { type: 'location' } })
param location string = resourceGroup().location

@description('Tags of every resource.')
param tags object = {}

@description('What the names of the resources end in, 5 to 13 small letters and digits; empty: computed. The same word again finds the same resources.')
@maxLength(13)
param resourceToken string = ''

// --- App settings. Empty means not given: a template cannot tell its own default from what somebody chose. What is not
// --- given stays as it is, and what was never set is taken from settings.json.

@description('The pool of callback numbers: E.164, separated by semicolons.')
param callbackNumbers string = ''

@description('A number that people answer at all hours, E.164. Never one of the pool.')
param fallbackCallbackNumber string = ''

@description('How long a number stays with a caller after dialling, at least: 10 to 1440 minutes.')
param callbackWindowMinutes string = ''

@description('How long it stays after the last call ended, at least: 0 to 1440 minutes.')
param callbackAfterCallMinutes string = ''

@description('How long it rests before it counts as free: 0 to 1440 minutes.')
param callbackCoolDownMinutes string = ''

@description('How long presence stays held after a dropped call: 0 to 1440 minutes.')
param holdAfterDropMinutes string = ''

@description('When a call whose end nobody reported counts as dropped: 10 to 1440 minutes.')
param maxCallMinutes string = ''

@description('Countries whose emergency numbers count: ISO 3166-1 alpha-2, separated by semicolons.')
param emergencyCountries string = ''

@description('Who is told of a call where neither agent nor site names anybody: e-mail addresses, separated by semicolons.')
param emergencyContacts string = ''

@description('Who answers a callback that nobody else does: E.164 numbers or Communication Services user ids, separated by semicolons.')
param securityDesk string = ''

@description('Which callbacks the contacts are told of: none, missed or all.')
param callbackNotices string = ''

@description('Whether the contacts are told that it is over: on or off.')
param closingNotices string = ''

@description('How many messages the sender may send in a minute.')
param emailPerMinute string = ''

@description('How many messages the sender may send in an hour.')
param emailPerHour string = ''

@description('What sends the notices: acs, or graph.')
param emailBackend string = ''

@description('Where presence lies: table, graph or dynamics365.')
param presenceBackend string = ''

@description('Microsoft Graph; another one in sovereign clouds.')
param graphUrl string = ''

@description('The Dynamics 365 organisation, where presence lies there.')
param dynamics365Url string = ''

@description('Where Communication Services reaches the app; empty: its own host name.')
param publicBaseUrl string = ''

@description('Sites that may embed the panel and call the API: origins, separated by semicolons.')
param allowedOrigins string = ''

@description('Per cent of free numbers below which an alarm is raised: 0 to 100.')
param poolLowWater string = ''

@description('The zone of times in notices where neither site nor agent has one: an IANA name.')
param timeZone string = ''

@description('Who signs the events of a call; another one in sovereign clouds.')
param callAutomationIssuer string = ''

@description('Where the keys of that issuer are.')
param callAutomationKeysUrl string = ''

@description('When leases are tidied up: six NCRONTAB fields.')
param expirySchedule string = ''

@description('When what is owed is tried again: six NCRONTAB fields.')
param outboxSchedule string = ''

@description('The sender of the notices; empty: DoNotReply of the e-mail domain that is deployed here. Another sender than donotreply@ needs sending limits that support has raised, and has to be added to the domain.')
param emailSender string = ''

@description('Secrets of the keyed hashes, separated by semicolons; the first one writes. Empty: the app makes one.')
@secure()
param keySecrets string = ''

@description('The app settings as they are now, by name: what was set by hand stays. Nothing of it is shown in the history of deployments.')
@secure()
param currentSettings object = {}

// --- Platform

@description('The version of Python that the package is built for.')
@allowed(['3.13'])
param pythonVersion string = '3.13'

@description('Memory of an instance in megabytes; 2048 have one core.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Instances that wait for HTTP. With one alone an update leaves nobody to answer for some seconds.')
@minValue(0)
@maxValue(100)
param alwaysReadyHttp int = 2

@description('Instances that wait for the calls of responders.')
@minValue(0)
@maxValue(100)
param alwaysReadyIncomingCall int = 2

@description('The most instances of each group of functions.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('How an update replaces instances. Recreate where a region refuses RollingUpdate: all of them end at once.')
@allowed(['RollingUpdate', 'Recreate'])
param siteUpdateStrategy string = 'RollingUpdate'

@description('Spread over the zones of the region. The platform then keeps two instances ready for each of the eight groups of functions, and bills them: some 340 USD a month instead of 84.')
param zoneRedundant bool = false

@description('Redundancy of storage. Zones are not in every region: choose one zone (Standard_LRS) there.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
param storageRedundancy string = 'Standard_ZRS'

@description('The Communication Services resource that has the numbers, in any resource group; empty: a new one, which only tenants that may still sign up can have.')
param existingCommunicationServiceId string = ''

@description('Its Event Grid system topic where there is one already, with a system-assigned identity; empty: a new one. There can be one for a resource.')
param existingSystemTopicId string = ''

@description('Where the data of a new Communication Services resource and of the e-mail service lies.')
param dataLocation string = 'United States'

@description('Your own e-mail domain; empty: with a new Communication Services resource one that Azure manages (5 messages a minute, 10 an hour: for trying out), else none.')
param emailDomain string = ''

@description('Link your own domain to the new Communication Services resource. Only when it is verified: in a second run.')
param linkEmailDomain bool = false

@description('Keep the state in Cosmos DB for Table. Its backups keep for eight hours what the app has forgotten.')
param useCosmos bool = false

@description('Keep the state in tables that are there already, by their endpoint. The identity needs its role there.')
param existingStateEndpoint string = ''

@description('A virtual network: storage answers to the app alone. The app itself stays public, because Communication Services and Event Grid call it from outside. Turned on for an app that is there, it is an outage of minutes.')
param virtualNetwork bool = false

@description('The addresses of that network, at least a /24.')
param virtualNetworkPrefix string = '10.91.0.0/24'

@description('The client id of the app registration that people and machines sign in with; empty: what is configured stays, and where nothing is, nobody can sign in.')
param authClientId string = ''

@description('A topic for telephony that is not Communication Services.')
param customTopic bool = false

@description('The object id of the service principal that publishes to that topic.')
param eventPublisherPrincipalId string = ''

@description('Who is told of an alert: e-mail addresses, separated by semicolons.')
param alertEmails string = ''

@description('Ask the app from five places every five minutes whether it is well.')
param availabilityTest bool = true

@description('Days until a log line is deleted.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Gigabytes of log a day beyond which nothing more is taken in, and of the alerts that read the log only silence fires; -1 for no bound.')
param logDailyCapGb int = 5

@description('Protect the state, the Communication Services resource and its topic from deletion.')
param lock bool = true

@description('The package to deploy: a public address that ends in released-package.zip; empty: the code comes in another way.')
param packageUri string = ''

@description('Subscribe to the events too. Only where the code is there: with a package, or on a later run.')
param deployEvents bool = !empty(packageUri)

// --- Names

var token = empty(resourceToken)
  ? toLower(uniqueString(subscription().id, resourceGroup().id, environmentName))
  : resourceToken
var abbreviations = loadJsonContent('abbreviations.json')
var identityName = '${abbreviations.identity}${token}'
var identityId = resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', identityName)
var functionAppName = '${abbreviations.functionApp}${token}'
var hostStorageName = '${abbreviations.hostStorage}${token}'
var stateStorageName = '${abbreviations.stateStorage}${token}'
var componentName = '${abbreviations.applicationInsights}${token}'
var topicName = '${abbreviations.eventGridTopic}${token}'
var cosmosName = '${abbreviations.cosmosAccount}${token}'
var packageContainer = 'packages'
var deadLetterContainer = 'dead-letters'
var allTags = union(tags, { 'azd-env-name': environmentName })

// --- What is new and what is there already

var newCommunication = empty(existingCommunicationServiceId)
var communicationId = newCommunication
  ? resourceId('Microsoft.Communication/communicationServices', '${abbreviations.communicationService}${token}')
  : existingCommunicationServiceId
var communicationParts = split(communicationId, '/')
var newSystemTopic = empty(existingSystemTopicId)
var systemTopicId = newSystemTopic
  ? resourceId(
      communicationParts[2],
      communicationParts[4],
      'Microsoft.EventGrid/systemTopics',
      '${abbreviations.eventGridSystemTopic}${token}'
    )
  : existingSystemTopicId
var systemTopicParts = split(systemTopicId, '/')
var backendOfEmail = !empty(emailBackend) ? emailBackend : (currentSettings.?EMAIL_BACKEND ?? 'acs')
var byGraph = backendOfEmail == 'graph'
// One's own domain stays linked under graph, too: whoever goes back to acs for an hour need not deploy for it.
var newEmail = !empty(emailDomain) || (newCommunication && !byGraph)
var managedDomain = newEmail && empty(emailDomain)
var linkDomain = newEmail && newCommunication && (managedDomain || linkEmailDomain)
var stateInStorage = !useCosmos && empty(existingStateEndpoint)
var redundancy = zoneRedundant && !contains(storageRedundancy, 'ZRS') ? 'Standard_ZRS' : storageRedundancy

// --- The app settings: what the platform owns, then what was given, then what is there, then settings.json

var table = loadJsonContent('settings.json')
var eventSources = concat([communicationId], customTopic ? [resourceId('Microsoft.EventGrid/topics', topicName)] : [])
// Where the state is: the endpoint of its tables, without the suffix of the cloud where that is to be asked for.
var stateEndpoint = !empty(existingStateEndpoint)
  ? existingStateEndpoint
  : useCosmos ? 'https://${cosmosName}.table.cosmos.azure.com:443/' : 'https://${stateStorageName}.table.'
// As many requests at once in an instance as it has threads for.
var threads = 64
var platform = {
  AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential'
  AzureWebJobsStorage__accountName: hostStorageName
  AzureWebJobsStorage__credential: 'managedidentity'
  // Further sources that somebody added by hand stay.
  EVENT_SOURCES: join(
    union(eventSources, filter(split(currentSettings.?EVENT_SOURCES ?? '', ';'), source => !empty(source))),
    ';'
  )
  PYTHON_THREADPOOL_THREAD_COUNT: string(threads)
  TABLES_ENDPOINT: stateInStorage ? '${stateEndpoint}${environment().suffixes.storage}/' : stateEndpoint
}
var parameters = {
  CALLBACK_NUMBERS: callbackNumbers
  FALLBACK_CALLBACK_NUMBER: fallbackCallbackNumber
  CALLBACK_WINDOW_MINUTES: callbackWindowMinutes
  CALLBACK_AFTER_CALL_MINUTES: callbackAfterCallMinutes
  CALLBACK_COOL_DOWN_MINUTES: callbackCoolDownMinutes
  HOLD_AFTER_DROP_MINUTES: holdAfterDropMinutes
  MAX_CALL_MINUTES: maxCallMinutes
  EMERGENCY_COUNTRIES: emergencyCountries
  EMERGENCY_CONTACTS: emergencyContacts
  SECURITY_DESK: securityDesk
  CALLBACK_NOTICES: callbackNotices
  CLOSING_NOTICES: closingNotices
  EMAIL_PER_MINUTE: emailPerMinute
  EMAIL_PER_HOUR: emailPerHour
  EMAIL_BACKEND: emailBackend
  PRESENCE_BACKEND: presenceBackend
  GRAPH_URL: graphUrl
  DYNAMICS365_URL: dynamics365Url
  PUBLIC_BASE_URL: publicBaseUrl
  ALLOWED_ORIGINS: allowedOrigins
  POOL_LOW_WATER: poolLowWater
  TIME_ZONE: timeZone
  CALL_AUTOMATION_ISSUER: callAutomationIssuer
  CALL_AUTOMATION_KEYS_URL: callAutomationKeysUrl
  EXPIRY_SCHEDULE: expirySchedule
  OUTBOX_SCHEDULE: outboxSchedule
}
var given = toObject(filter(items(parameters), each => !empty(each.value)), each => each.key, each => each.value)
var chosen = union(table.defaults, managedDomain ? table.defaultsOfManagedDomain : {}, currentSettings, given, platform)
// Tried out with a domain that Azure manages, now with one's own: the former is not linked any more, so that its sender
// could send nothing, and its quota is not the new one's. The form hands both on as they are.
var sender = !empty(emailSender) ? emailSender : (currentSettings.?EMAIL_SENDER ?? '')
var fromManaged = endsWith(toLower(sender), '.azurecomm.net')
var senderIsLeft = linkDomain && !managedDomain && fromManaged
// Until then it goes on sending.
var keepsManaged = newEmail && newCommunication && !managedDomain && !linkDomain && fromManaged
var quotaLeft = filter(items(table.defaultsOfManagedDomain), quota => senderIsLeft && chosen[quota.key] == quota.value)
var settings = union(chosen, toObject(quotaLeft, quota => quota.key, quota => table.defaults[quota.key]))
// What is known only when other resources are there is appended to the list below, and must not come twice.
var leftOut = map(concat(table.knownLater, table.forbidden), name => toLower(name))
var kept = filter(items(settings), each => !contains(leftOut, toLower(each.key)))
var knownSettings = [for each in kept: { name: each.key, value: each.value }]

// --- Resources

module identity 'modules/identity.bicep' = {
  name: 'identity'
  params: {
    name: identityName
    location: location
    tags: allTags
  }
}

// Two accounts: in the host's, versions of the package are kept; in the other one nothing may outlive its deletion.
module hostStorage 'modules/storage.bicep' = {
  name: 'host-storage'
  params: {
    name: hostStorageName
    location: location
    tags: allTags
    skuName: redundancy
    containerName: packageContainer
    keepVersions: true
    deleteAfterDays: 0
    closed: virtualNetwork
  }
}

module stateStorage 'modules/storage.bicep' = {
  name: 'state-storage'
  params: {
    name: stateStorageName
    location: location
    tags: allTags
    skuName: redundancy
    containerName: deadLetterContainer
    keepVersions: false
    // A dead letter holds numbers. The rule runs once a day: some 48 hours at most.
    deleteAfterDays: 1
    closed: virtualNetwork
  }
}

module cosmos 'modules/cosmos.bicep' = if (useCosmos) {
  name: 'cosmos'
  params: {
    name: cosmosName
    location: location
    tags: allTags
    tableNames: loadJsonContent('tables.json')
    zoneRedundant: zoneRedundant
    closed: virtualNetwork
  }
}

module cosmosAccess 'modules/cosmosAccess.bicep' = if (useCosmos) {
  name: 'cosmos-access'
  params: {
    accountName: cosmosName
    // As in access, below.
    #disable-next-line what-if-short-circuiting
    principalId: identity.outputs.principalId
  }
  dependsOn: [cosmos]
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    workspaceName: '${abbreviations.workspace}${token}'
    componentName: componentName
    ruleName: '${abbreviations.dataCollectionRule}${token}'
    location: location
    tags: allTags
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
  }
}

module email 'modules/email.bicep' = if (newEmail) {
  name: 'email'
  params: {
    name: '${abbreviations.emailService}${token}'
    tags: allTags
    dataLocation: dataLocation
    domainName: emailDomain
    keepsManaged: keepsManaged
  }
}

module communication 'modules/communication.bicep' = if (newCommunication) {
  name: 'communication'
  params: {
    name: last(communicationParts)
    tags: allTags
    dataLocation: dataLocation
    linkedDomainIds: linkDomain ? [email!.outputs.domainId] : keepsManaged ? [email!.outputs.managedDomainId] : []
  }
}

// In the resource group of the Communication Services resource, wherever that is.
module connection 'modules/connection.bicep' = {
  name: 'connection-${token}'
  scope: resourceGroup(communicationParts[2], communicationParts[4])
  params: {
    communicationName: last(communicationParts)
    topicName: newSystemTopic ? last(systemTopicParts) : ''
    tags: allTags
  }
  dependsOn: [communication]
}

module access 'modules/access.bicep' = {
  name: 'access-${token}'
  scope: resourceGroup(communicationParts[2], communicationParts[4])
  params: {
    communicationName: last(communicationParts)
    // A what-if cannot name the assignment, which is all that this module has.
    #disable-next-line what-if-short-circuiting
    principalId: identity.outputs.principalId
  }
  dependsOn: [communication]
}

module topic 'modules/topic.bicep' = if (customTopic) {
  name: 'topic'
  params: {
    name: topicName
    location: location
    tags: allTags
    publisherPrincipalId: eventPublisherPrincipalId
  }
}

module topicIdentity 'modules/topicIdentity.bicep' = {
  name: 'topic-identity-${token}'
  scope: resourceGroup(systemTopicParts[2], systemTopicParts[4])
  params: { topicName: last(systemTopicParts) }
  dependsOn: [connection]
}

module deadLetters 'modules/deadLetters.bicep' = {
  name: 'dead-letters'
  params: {
    storageName: stateStorageName
    containerName: deadLetterContainer
    principalIds: concat([topicIdentity.outputs.principalId], customTopic ? [topic!.outputs.principalId] : [])
  }
  dependsOn: [stateStorage]
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  params: {
    hostStorageName: hostStorageName
    stateStorageName: stateStorageName
    componentName: componentName
    // As in access, above.
    #disable-next-line what-if-short-circuiting
    principalId: identity.outputs.principalId
    stateInStorage: stateInStorage
  }
  dependsOn: [hostStorage, stateStorage, monitoring]
}

module network 'modules/network.bicep' = if (virtualNetwork) {
  name: 'network'
  params: {
    name: '${abbreviations.virtualNetwork}${token}'
    location: location
    tags: allTags
    addressPrefix: virtualNetworkPrefix
    endpoints: concat(
      [
        {
          name: '${abbreviations.privateEndpoint}host-${token}'
          id: hostStorage.outputs.id
          groupId: 'blob'
          zone: 'privatelink.blob.${environment().suffixes.storage}'
        }
      ],
      useCosmos
        ? [
            {
              name: '${abbreviations.privateEndpoint}cosmos-${token}'
              id: cosmos!.outputs.id
              groupId: 'Table'
              zone: 'privatelink.table.cosmos.azure.com'
            }
          ]
        : stateInStorage
            ? [
                {
                  name: '${abbreviations.privateEndpoint}state-${token}'
                  id: stateStorage.outputs.id
                  groupId: 'table'
                  zone: 'privatelink.table.${environment().suffixes.storage}'
                }
              ]
            : []
    )
  }
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: '${abbreviations.plan}${token}'
  location: location
  tags: allTags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

resource functionApp 'Microsoft.Web/sites@2025-03-01' = {
  name: functionAppName
  location: location
  // The last two are for the gate of a deployment: a what-if does not show the settings, since a secure parameter goes into
  // them. No whole resource id: a tag holds 256 characters. No suffix of a cloud: nothing that is not known from the start.
  tags: union(allTags, {
    'azd-service-name': 'api'
    'emergency-state': stateEndpoint
    'emergency-communication': '${communicationParts[2]}/${communicationParts[4]}/${last(communicationParts)}'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // A setting may name a secret of a key vault. Without this the identity of the system would read it, and there is none.
    keyVaultReferenceIdentity: identityId
    // With the plain name somebody else could take it over after a deletion, and with it the address of callbacks.
    autoGeneratedDomainNameLabelScope: 'TenantReuse'
    virtualNetworkSubnetId: virtualNetwork ? network!.outputs.appSubnetId : null
    outboundVnetRouting: { allTraffic: virtualNetwork }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: 'https://${hostStorageName}.blob.${environment().suffixes.storage}/${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        // Where it is not said, an instance with Python gets one request at a time: the second dial of a burst would wait
        // for an instance to start, and every panel that asks would hold up a dial.
        triggers: { http: { perInstanceConcurrency: threads } }
        alwaysReady: filter(
          [
            { name: 'http', instanceCount: max(alwaysReadyHttp, zoneRedundant ? 2 : 0) }
            { name: 'function:incoming_call_event', instanceCount: max(alwaysReadyIncomingCall, zoneRedundant ? 2 : 0) }
          ],
          group => group.instanceCount > 0
        )
      }
      // Documented from API version 2023-12-01 on; the types of none of them have it.
      #disable-next-line BCP037
      siteUpdateStrategy: { type: siteUpdateStrategy }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      appSettings: concat(knownSettings, [
        {
          name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
          value: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
        }
        { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: monitoring.outputs.connectionString }
        { name: 'AZURE_CLIENT_ID', value: identity.outputs.clientId }
        { name: 'AzureWebJobsStorage__clientId', value: identity.outputs.clientId }
        { name: 'COMMUNICATION_SERVICES_ENDPOINT', value: 'https://${connection.outputs.hostName}' }
        { name: 'COMMUNICATION_SERVICES_RESOURCE_ID', value: connection.outputs.immutableResourceId }
        {
          name: 'EMAIL_SENDER'
          value: !empty(sender) && !senderIsLeft
            ? sender
            : linkDomain && !byGraph ? 'DoNotReply@${email!.outputs.senderDomain}' : ''
        }
        { name: 'KEY_SECRETS', value: !empty(keySecrets) ? keySecrets : (currentSettings.?KEY_SECRETS ?? '') }
        // Always there: where sign-in is configured already, a run that does not name it must not break it.
        { name: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID', value: identity.outputs.clientId }
      ])
    }
  }
  dependsOn: [roles, access, cosmosAccess]
}

resource noFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: functionApp
  name: 'ftp'
  properties: { allow: false }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: functionApp
  name: 'scm'
  properties: { allow: false }
  dependsOn: [noFtp]
}

// Before any code: without it the header that names the caller could be forged.
module authentication 'modules/authentication.bicep' = if (!empty(authClientId)) {
  name: 'authentication'
  params: {
    functionAppName: functionApp.name
    clientId: authClientId
  }
  dependsOn: [noScmPassword]
}

module package 'modules/package.bicep' = if (!empty(packageUri)) {
  name: 'package'
  params: {
    functionAppName: functionApp.name
    packageUri: packageUri
  }
  dependsOn: [authentication, noScmPassword]
}

module events 'events.bicep' = if (deployEvents) {
  name: 'events'
  params: {
    functionAppName: functionAppName
    systemTopicId: systemTopicId
    customTopicName: customTopic ? topicName : ''
    stateStorageName: stateStorageName
    deadLetterContainer: deadLetterContainer
  }
  dependsOn: [functionApp, package, deadLetters, authentication]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    prefix: 'emergency-${token}'
    location: location
    tags: allTags
    emails: filter(map(split(alertEmails, ';'), email => trim(email)), email => !empty(email))
    workspaceId: monitoring.outputs.workspaceId
    componentId: monitoring.outputs.componentId
    resourceIds: {
      systemTopic: systemTopicId
      customTopic: customTopic ? topic!.outputs.id : ''
      hostStorage: hostStorage.outputs.id
      // Where the state lies elsewhere, this account's availability says nothing of it.
      stateStorage: stateInStorage ? stateStorage.outputs.id : ''
    }
    availabilityTest: availabilityTest
    healthAddress: 'https://${functionApp.properties.defaultHostName}/api/health'
    webTestName: '${abbreviations.webTest}${token}'
    actionGroupName: '${abbreviations.actionGroup}${token}'
  }
  dependsOn: [deadLetters]
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  params: {
    seed: token
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module locks 'modules/lock.bicep' = if (lock) {
  name: 'locks'
  params: {
    stateStorageName: stateStorageName
    cosmosName: useCosmos ? cosmosName : ''
    communicationName: newCommunication ? last(communicationParts) : ''
    systemTopicName: newSystemTopic && newCommunication ? last(systemTopicParts) : ''
  }
  dependsOn: [stateStorage, cosmos, communication, connection]
}

// --- What the next step, and whoever operates it, needs to know. Nothing secret.

output AZURE_LOCATION string = location
output FUNCTION_APP_NAME string = functionApp.name
output FUNCTION_APP_ADDRESS string = 'https://${functionApp.properties.defaultHostName}'
output IDENTITY_CLIENT_ID string = identity.outputs.clientId
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output COMMUNICATION_SERVICE_ID string = communicationId
output SYSTEM_TOPIC_ID string = systemTopicId
output STATE_STORAGE_NAME string = stateStorageName
output HOST_STORAGE_NAME string = hostStorageName
output DEAD_LETTER_CONTAINER string = deadLetterContainer
output CUSTOM_TOPIC_NAME string = customTopic ? topicName : ''
output CUSTOM_TOPIC_ID string = customTopic ? topic!.outputs.id : ''
output CUSTOM_TOPIC_ENDPOINT string = customTopic ? topic!.outputs.endpoint : ''
output EMAIL_DOMAIN_RECORDS object = newEmail && !managedDomain ? email!.outputs.verificationRecords : {}
